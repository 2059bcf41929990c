"""Backup and restore of a whole fleet: every schema, every repository, the keys, in one file."""
