"""The HTTP surface: over any workspace, mounted by any Litestar application."""
