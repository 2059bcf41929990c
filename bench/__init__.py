"""Measurements, each beside a baseline of its own run: `make bench`; explained in docs/performance.md."""
