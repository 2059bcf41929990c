"""The model client: any OpenAI-compatible endpoint, accounted for, bounded, and typed by cause of failure."""

from ironclaw_chassis.model.cassette import Cassette
from ironclaw_chassis.model.client import PROVIDER, ModelClient
from ironclaw_chassis.model.errors import ModelError
from ironclaw_chassis.model.messages import Message, ModelRequest, Reply, ToolRequest, ToolSpec
from ironclaw_chassis.model.payer import LedgerPurse, Payer, Purse
from ironclaw_chassis.model.prices import NO_PRICES, Price, Prices, read_prices
from ironclaw_chassis.model.settings import (
    DEFAULT_BASE_URL,
    DEFAULT_CONCURRENCY,
    DEFAULT_MODEL,
    DEFAULT_OUTPUT_TOKENS,
    Concurrency,
    ModelSettings,
    OutputTokens,
    open_model,
)

__all__ = [
    "DEFAULT_BASE_URL",
    "DEFAULT_CONCURRENCY",
    "DEFAULT_MODEL",
    "DEFAULT_OUTPUT_TOKENS",
    "NO_PRICES",
    "PROVIDER",
    "Cassette",
    "Concurrency",
    "LedgerPurse",
    "Message",
    "ModelClient",
    "ModelError",
    "ModelRequest",
    "ModelSettings",
    "OutputTokens",
    "Payer",
    "Price",
    "Prices",
    "Purse",
    "Reply",
    "ToolRequest",
    "ToolSpec",
    "open_model",
    "read_prices",
]
