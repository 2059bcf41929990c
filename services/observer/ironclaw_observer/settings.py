"""Settings of the observer."""

from ironclaw_chassis.settings import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """What the observer reads from the environment; the table is in docs/settings.md."""

    sweep_seconds: float = 5.0
    stuck_seconds: int = 120
