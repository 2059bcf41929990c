"""Figures of the units."""

from ironclaw_chassis.metrics import SLOW_SECONDS, counter, gauge, histogram

ATTEMPTS = counter(
    "ironclaw_attempts_total",
    "Attempts that units of this process ended: completed, or the cause of their failure.",
    ("executor", "outcome"),
)
ATTEMPT_SECONDS = histogram(
    "ironclaw_attempt_seconds", "Time from claim to report.", ("executor",), SLOW_SECONDS
)
UNITS_BUSY = gauge("ironclaw_units_busy", "Units at work in this process.")
RENEWALS = counter(
    "ironclaw_lease_renewals_total", "Heartbeats of units: renewals of their leases.", ("outcome",)
)
