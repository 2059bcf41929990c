"""The ledger: append-only events, snapshots, hash chain."""
