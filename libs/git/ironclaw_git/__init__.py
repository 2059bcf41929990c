"""Hardened git for IronClaw: worktrees, merges, promotion, salvage."""
