"""Show a run while it works: one line an order."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import OrderPhase, RunStatus
from ironclaw_contracts.errors import RateLimited, Unavailable
from ironclaw_contracts.events import Event, EventType
from ironclaw_contracts.snapshots import OrderSnapshot, RunView
from ironclaw_fleet.cli.output import first_line, say

if TYPE_CHECKING:
    from ironclaw_chassis.client import ServiceClient

_ENDINGS = frozenset({EventType.RUN_COMPLETED, EventType.RUN_FAILED, EventType.RUN_CANCELLED})
_SHOWN = {
    EventType.ORDER_ENQUEUED: "queued",
    EventType.ORDER_STARTED: "running",
    EventType.ORDER_COMPLETED: "done, awaiting the gates",
    EventType.ORDER_FAILED: "attempt failed",
    EventType.ORDER_BLOCKED: "blocked",
    EventType.ORDER_REISSUED: "reissued",
    EventType.ORDER_CANCELLED: "cancelled",
    EventType.INTEGRATION_FAILED: "merge refused",
    EventType.INTEGRATED: "merged",
}
_WENT_WRONG = frozenset({EventType.ORDER_FAILED, EventType.ORDER_BLOCKED, EventType.INTEGRATION_FAILED})
_REASON_CHARS_MAX = 300
_MARKS = {
    OrderPhase.INTEGRATED: "✓",
    OrderPhase.FAILED: "✗",
    OrderPhase.CANCELLED: "–",
    OrderPhase.RUNNING: "▸",
}


async def follow_run(client: "ServiceClient", run_id: str) -> RunView:
    """Show a run until it ends, and return it: live on a terminal, a line an event elsewhere."""
    if sys.stdout.isatty():
        return await _live(client, run_id)
    titles: dict[str, str] = {}
    async for event in events_of(client, run_id):
        if event.type is EventType.ORDER_CREATED and event.order_id is not None:
            titles[event.order_id] = str(event.payload.get("title", event.order_id))
        elif event.type in _SHOWN and event.order_id is not None:
            say(
                f"{event.ts:%H:%M:%S.%f}"[:-3]
                + f"  {titles.get(event.order_id, event.order_id)}: {told(event.type, event.payload)}"
            )
    return await client.call(api.GET_RUN, run_id=run_id)


def told(kind: EventType, payload: Mapping[str, Any]) -> str:
    """Return what an event says of its order, with the reason where it went wrong."""
    said = "merge waits" if payload.get("hold") else _SHOWN[kind]
    reason = str(payload.get("reason") or "") if kind in _WENT_WRONG else ""
    return f"{said}: {first_line(reason, _REASON_CHARS_MAX)}" if reason else said


async def _live(client: "ServiceClient", run_id: str) -> RunView:
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    def drawn(view: RunView) -> Table:
        table = Table.grid(padding=(0, 1))
        for order in view.orders:
            mark = _MARKS.get(order.phase, "·")
            table.add_row(mark, Text(first_line(order.title)), Text(_state(order), style="dim"))
        done = sum(1 for order in view.orders if order.phase is OrderPhase.INTEGRATED)
        table.add_row("", Text(f"{done} of {len(view.orders)} merged · {view.run.status}", style="bold"), "")
        return table

    view = await client.call(api.GET_RUN, run_id=run_id)
    with Live(drawn(view), refresh_per_second=12, vertical_overflow="visible") as live:
        if view.run.status is RunStatus.OPEN:
            async for event in events_of(client, run_id, after=view.run.last_seq):
                if event.type in _SHOWN or event.type in _ENDINGS or event.type is EventType.ORDER_CREATED:
                    view = await client.call(api.GET_RUN, run_id=run_id)
                    live.update(drawn(view))
    return await client.call(api.GET_RUN, run_id=run_id)


def _state(order: OrderSnapshot) -> str:
    again = f" (attempt {order.attempt})" if order.attempt > 1 else ""
    reason = order.hold or (order.history[-1].reason if order.history else "")
    waits = order.phase in {
        OrderPhase.HELD,
        OrderPhase.ATTEMPT_FAILED,
        OrderPhase.REJECTED,
        OrderPhase.FAILED,
    }
    why = f": {first_line(reason, _REASON_CHARS_MAX)}" if waits and reason else ""
    return f"{order.phase.lower().replace('_', ' ')}{again}{why}"


async def ended_run(client: "ServiceClient", run_id: str) -> RunView:
    """Wait for a run to end and return it."""
    async for _ in events_of(client, run_id):
        pass
    return await client.call(api.GET_RUN, run_id=run_id)


async def events_of(client: "ServiceClient", run_id: str, after: int = 0) -> AsyncIterator[Event]:
    """Yield a run's events until it ends, through interruptions."""
    while True:
        try:
            async for line in client.lines(api.FOLLOW_RUN, api.FollowQuery(after=after), run_id=run_id):
                if not line.startswith(b"data:") or not line[5:].strip():
                    continue
                event = msgspec.json.decode(line[5:].strip(), type=Event)
                after = event.seq
                yield event
                if event.type in _ENDINGS:
                    return
        except (Unavailable, RateLimited) as error:
            await asyncio.sleep(error.retry_after_seconds or 1)
        run = (await client.call(api.GET_RUN, run_id=run_id)).run
        if run.status is not RunStatus.OPEN and run.last_seq <= after:
            return
