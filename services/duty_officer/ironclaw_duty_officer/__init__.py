"""The duty officer: system patrol and recovery."""
