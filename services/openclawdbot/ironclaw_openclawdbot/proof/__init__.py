"""The OpenClaw validator: intents, heartbeats, nodes and their keys, reputation, review."""
