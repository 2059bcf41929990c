"""Settings of co."""

from ironclaw_chassis.model import (
    DEFAULT_BASE_URL,
    DEFAULT_CONCURRENCY,
    DEFAULT_MODEL,
    DEFAULT_OUTPUT_TOKENS,
    Concurrency,
    OutputTokens,
)
from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import DatabaseSettings


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What co reads from the environment; the table is in docs/settings.md."""

    signing_secret: Secret = Secret("")
    signing_secret_file: str = ""
    redis_url: Secret = Secret("redis://127.0.0.1:6379")
    default_theater: str = "main"
    model_base_url: str = DEFAULT_BASE_URL
    model_name: str = DEFAULT_MODEL
    model_api_key: Secret = Secret("")
    model_prices_file: str = ""
    model_output_tokens_max: OutputTokens = DEFAULT_OUTPUT_TOKENS
    model_concurrency: Concurrency = DEFAULT_CONCURRENCY
    model_cassette: str = ""
    sweep_seconds: float = 5.0
    in_flight_max: int = 32
    poi_required: bool = False
    plan_tasks_max: int = 12
