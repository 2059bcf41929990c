"""Settings of the duty officer."""

from ironclaw_chassis.settings import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """What the duty officer reads from the environment; the table is in docs/settings.md."""

    redis_url: str = "redis://127.0.0.1:6379"
    patrol_seconds: float = 15.0
    watch_seconds: float = 2.0
    lease_seconds: int = 15
    unclaimed_seconds: int = 5
    lost_units_max: int = 5
