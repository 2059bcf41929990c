"""Figures of the patrol: how often it ran, what it did, what it holds."""

from ironclaw_chassis.metrics import SLOW_SECONDS, counter, gauge, histogram

PATROL_SECONDS = histogram(
    "ironclaw_patrol_seconds", "Time that a patrol over the fleet took.", bounds=SLOW_SECONDS
)
PATROL_TICK = gauge("ironclaw_patrol_tick_timestamp_seconds", "When this process last finished a patrol.")
INTERVENTIONS = counter(
    "ironclaw_interventions_total", "What the patrol did about orders.", ("rule", "action")
)
BREAKERS_OPEN = gauge("ironclaw_breakers_open", "Causes that orders are held for.")
