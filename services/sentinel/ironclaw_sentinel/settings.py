"""Settings of the sentinel."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_patrol.assembly import PatrolLimits
from ironclaw_patrol.breaker import BreakerLimits
from ironclaw_patrol.rules import Thresholds
from ironclaw_sentinel.audit import AuditLimits


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """What the sentinel reads from the environment; the table is in docs/settings.md."""

    redis_url: Secret = Secret("redis://127.0.0.1:6379")
    audit_seconds: Annotated[float, Meta(gt=0)] = 15.0
    tick_age_seconds_max: Annotated[float, Meta(gt=0)] = 45.0
    backlog_per_minute_max: Annotated[float, Meta(gt=0)] = 20.0
    recovery_seconds_max: Annotated[float, Meta(gt=0)] = 120.0
    reissues_max: Annotated[int, Meta(ge=1)] = 8
    failover: bool = True
    patrol_seconds: Annotated[float, Meta(gt=0)] = 15.0
    lead_seconds: Annotated[int, Meta(ge=1)] = 10
    lease_seconds: Annotated[int, Meta(ge=1)] = 8
    webhook_url: str = ""
    webhook_secret: Secret = Secret("")
    webhook_tries_max: Annotated[int, Meta(ge=1, le=50)] = 8

    @property
    def audit_limits(self) -> AuditLimits:
        """What an audit takes for a concern."""
        return AuditLimits(
            tick_age_seconds_max=self.tick_age_seconds_max,
            backlog_per_minute_max=self.backlog_per_minute_max,
            recovery_seconds_max=self.recovery_seconds_max,
            reissues_max=self.reissues_max,
        )

    @property
    def patrol_limits(self) -> PatrolLimits:
        """The limits of the patrol that it runs on failover."""
        return PatrolLimits(
            thresholds=Thresholds(unclaimed_seconds=5, lease_seconds=self.lease_seconds, suspect_seconds=3.0),
            breaker=BreakerLimits(),
            run_still_seconds=60,
        )

    @property
    def cursor_path(self) -> Path:
        """Where it keeps how far escalations were sent out."""
        return Path(self.home) / "sentinel" / "webhook.json"
