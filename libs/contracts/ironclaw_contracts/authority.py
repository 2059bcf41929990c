"""Who may append what (DESIGN, the fleet; seed: no role silently crosses its boundary)."""

from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Authority
from ironclaw_contracts.events import EventType as E

_HEALTH = {E.SERVICE_DEGRADED, E.SERVICE_RECOVERED}

AUTHORITY: dict[Service, frozenset[E]] = {
    Service.API_GATEWAY: frozenset(),
    Service.CO: frozenset(
        {
            E.RUN_CREATED,
            E.RUN_UPDATED,
            E.RUN_COMPLETED,
            E.RUN_FAILED,
            E.RUN_CANCELLED,
            E.ORDER_CREATED,
            E.ORDER_ENQUEUED,
            E.ORDER_CANCELLED,
            E.ESCALATION_ACKED,
        }
    ),
    Service.LEDGER: frozenset(),
    Service.VAULT: frozenset({E.WORKTREE_CREATED, E.WORKTREE_READY, E.WORKTREE_ARCHIVED, E.WORKTREE_REMOVED}),
    Service.WORKER: frozenset(
        {
            E.ORDER_CLAIMED,
            E.ORDER_STARTED,
            E.ORDER_BLOCKED,
            E.ORDER_COMPLETED,
            E.ORDER_FAILED,
            E.ARTIFACT_WRITTEN,
            E.AAR_WRITTEN,
        }
    ),
    Service.OBSERVER: frozenset({E.RECOVERY_REQUIRED, E.ESCALATION_RAISED, E.INTEGRATION_READY, *_HEALTH}),
    Service.INTEGRATION: frozenset(
        {
            E.INTEGRATION_STARTED,
            E.INTEGRATION_PASSED,
            E.INTEGRATION_FAILED,
            E.INTEGRATED,
            E.ORDER_BLOCKED,
            E.ESCALATION_RAISED,
        }
    ),
    Service.DUTY_OFFICER: frozenset(
        {
            E.PATROL_TICK,
            E.RECOVERY_STARTED,
            E.RECOVERY_COMPLETED,
            E.ORDER_REISSUED,
            E.ORDER_ADOPTED,
            E.ORDER_FAILED,
            E.ESCALATION_RAISED,
            *_HEALTH,
        }
    ),
    Service.SENTINEL: frozenset({E.ESCALATION_RAISED, E.RECOVERY_STARTED, E.RECOVERY_COMPLETED}),
    Service.LEARNING: frozenset({E.RUN_UPDATED, E.POLICY_UPDATED, E.FEEDBACK_RECORDED}),
    Service.OPENCLAWDBOT: frozenset({E.ESCALATION_RAISED}),
}

ACTING: dict[Service, frozenset[E]] = {
    Service.SENTINEL: AUTHORITY[Service.DUTY_OFFICER] - AUTHORITY[Service.SENTINEL]
}
"""What a service may append besides, while it holds the lead of the patrol (seed 3.9: failover)."""


def check_authority(source: Service, type: E, *, leads: bool = True) -> None:
    """Raise `Authority` when the event type is not the service's to append.

    `leads` tells whether the service holds the lead of the patrol; before that is known, it may.
    """
    if type in AUTHORITY[source] or (leads and type in ACTING.get(source, frozenset())):
        return
    lacking = " without the lead of the patrol" if type in ACTING.get(source, frozenset()) else ""
    raise Authority(f"{source} may not append {type}{lacking}")
