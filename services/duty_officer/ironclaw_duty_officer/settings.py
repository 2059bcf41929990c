"""Settings of the duty officer."""

from typing import Annotated

from msgspec import Meta

from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import DatabaseSettings
from ironclaw_patrol.assembly import PatrolLimits
from ironclaw_patrol.breaker import BreakerLimits
from ironclaw_patrol.rules import Thresholds

Positive = Annotated[float, Meta(gt=0)]


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What the duty officer reads from the environment; the table is in docs/settings.md."""

    redis_url: Secret = Secret("redis://127.0.0.1:6379")
    patrol_seconds: Positive = 15.0
    watch_seconds: Positive = 1.0
    lease_seconds: Annotated[int, Meta(ge=1)] = 8
    suspect_seconds: Annotated[float, Meta(ge=0)] = 3.0
    unclaimed_seconds: Annotated[int, Meta(ge=1)] = 5
    lead_seconds: Annotated[int, Meta(ge=1)] = 10
    probe_pause_seconds_max: Annotated[float, Meta(ge=2)] = 60.0
    run_still_seconds: Annotated[int, Meta(ge=1)] = 60
    drill_seconds: Annotated[float, Meta(ge=0)] = 0.0

    @property
    def limits(self) -> PatrolLimits:
        """The limits of the patrol."""
        return PatrolLimits(
            thresholds=Thresholds(
                unclaimed_seconds=self.unclaimed_seconds,
                lease_seconds=self.lease_seconds,
                suspect_seconds=self.suspect_seconds,
            ),
            breaker=BreakerLimits(pause_seconds=(2.0, self.probe_pause_seconds_max)),
            run_still_seconds=self.run_still_seconds,
        )
