"""Figures of the calls of models."""

from ironclaw_chassis.metrics import SLOW_SECONDS, counter, histogram

MODEL_SECONDS = histogram(
    "ironclaw_model_seconds",
    "Time that a call of a model took; the outcome is ok, cancelled or the cause of its failure.",
    ("model", "outcome"),
    SLOW_SECONDS,
)
MODEL_TOKENS = counter(
    "ironclaw_model_tokens_total",
    "Tokens that models read (in) and wrote (out); where the provider does not count, as reserved.",
    ("model", "direction"),
)
MODEL_COST = counter(
    "ironclaw_model_cost_usd_total", "US dollars charged for calls, where prices are known.", ("model",)
)
