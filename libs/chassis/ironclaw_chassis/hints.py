"""Hints: the ledger's stream nudges a reconciler. Losing it costs latency, never progress."""

from collections.abc import Callable, Iterable
from typing import Literal

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.reconciler import Reconciler, forever
from ironclaw_contracts.events import Event, EventType

_PAUSE_SECONDS = 0.5


async def hint_from_ledger(
    ledger: LedgerClient,
    reconciler: Reconciler,
    types: Iterable[EventType],
    key: Literal["run_id", "order_id", "theater_id"],
    matters: Callable[[Event], bool] | None = None,
) -> None:
    """Nudge the reconciler with `key` of each event of these types that `matters`, for ever.

    Whenever the stream begins anew the reconciler sweeps, since events may have passed before.
    """
    wanted = tuple(types)

    async def follow() -> None:
        async for event in ledger.follow(wanted, connected=reconciler.sweep_now):
            value = getattr(event, key)
            if value is not None and (matters is None or matters(event)):
                reconciler.nudge(value)

    await forever(f"{reconciler.name} hints", follow, _PAUSE_SECONDS)
