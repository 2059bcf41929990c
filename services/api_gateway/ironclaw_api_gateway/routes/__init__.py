"""The gateway's routes, by who uses them: people's work, operators' tools, keys."""
