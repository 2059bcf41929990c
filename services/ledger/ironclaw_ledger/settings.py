"""Settings of the ledger."""

from ironclaw_chassis.settings import DatabaseSettings


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What the ledger reads from the environment; the table is in docs/settings.md."""

    checkpoint_events: int = 256
    streams_max: int = 200
    queue_max: int = 10_000
