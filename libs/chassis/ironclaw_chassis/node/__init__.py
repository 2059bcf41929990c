"""A service as an OpenClaw node: its keys, its sequence numbers, its heartbeats."""
