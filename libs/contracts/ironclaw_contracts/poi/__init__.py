"""Proof-of-intent and heartbeats: envelopes, signed bytes, keys (seed: OpenClaw integration). No I/O."""
