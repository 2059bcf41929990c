"""The chat surface: API keys, runs, orders, artifacts."""
