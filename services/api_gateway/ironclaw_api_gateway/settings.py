"""Settings of the gateway."""

from typing import Annotated

from msgspec import Meta

from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import DatabaseSettings


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What the gateway reads from the environment; the table is in docs/settings.md.

    `bootstrap_key_file` holds the secret of the first operator's key.
    """

    redis_url: Secret = Secret("redis://127.0.0.1:6379")
    bootstrap_key_file: str = ""
    key_cache_seconds: Annotated[float, Meta(ge=0, le=10)] = 2.0
    streams_max: Annotated[int, Meta(ge=1)] = 200
