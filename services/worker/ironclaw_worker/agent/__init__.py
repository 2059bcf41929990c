"""The `agent` executor: a model with tools, whose every call is checked and recorded outside of it."""
