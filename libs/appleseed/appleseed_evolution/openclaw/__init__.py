"""OpenClaw operator sessions: artifacts and handoff bundles in, envelopes and handoffs out."""
