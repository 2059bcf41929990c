"""Settings of the observer."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ironclaw_chassis.settings import ServiceSettings, SettingsError


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """What the observer reads from the environment; the table is in docs/settings.md.

    `stuck_seconds_by_profile` reads `slow=900,quick=30`.
    """

    sweep_seconds: float = 5.0
    patrol_seconds: float = 30.0
    stuck_seconds: Annotated[int, Meta(ge=1)] = 120
    stuck_seconds_by_profile: str = ""

    @property
    def by_profile(self) -> dict[str, int]:
        """The thresholds of single profiles. Raises `SettingsError`."""
        parts = (part.strip() for part in self.stuck_seconds_by_profile.split(","))
        pairs = [part.partition("=") for part in parts if part]
        try:
            return msgspec.convert(
                {name.strip(): seconds.strip() for name, _, seconds in pairs}, dict[str, int], strict=False
            )
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"IRONCLAW_OBSERVER_STUCK_SECONDS_BY_PROFILE: {error}; write NAME=SECONDS,NAME=SECONDS"
            ) from error
