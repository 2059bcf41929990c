"""The commanding officer: planning, dispatch, synthesis."""
