"""Settings of the ledger."""

from typing import Annotated

from msgspec import Meta

from ironclaw_chassis.settings import DatabaseSettings


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What the ledger reads from the environment; the table is in docs/settings.md."""

    checkpoint_events: Annotated[int, Meta(ge=1)] = 256
    streams_max: Annotated[int, Meta(ge=1)] = 200
    queue_max: Annotated[int, Meta(ge=1)] = 10_000
