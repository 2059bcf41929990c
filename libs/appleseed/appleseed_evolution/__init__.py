"""Appleseed evolution: runtime evidence, projection, proposals and governance over a state directory."""
