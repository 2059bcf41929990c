"""Integration: gates and promotion to the mainline."""
