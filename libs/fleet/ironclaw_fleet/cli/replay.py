"""A past run with another profile, beside what it came to: `ironclaw replay RUN --profile NAME`."""

from typing import TYPE_CHECKING

from msgspec import Struct

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.co import Replay
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.events import EventType
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, first_line, print_json, print_table, say
from ironclaw_fleet.cli.progress import ended_run
from ironclaw_fleet.cli.session import Failed, gateway

if TYPE_CHECKING:
    from ironclaw_chassis.client import ServiceClient


class Outcome(Struct, frozen=True):
    """What one order came to. `seconds` go from its first start to its merge."""

    order_id: str
    profile: str
    phase: str
    attempts: int
    seconds: float | None
    tokens_out: int | None
    bytes: int


class Pair(Struct, frozen=True):
    """One order then, and the same done again."""

    title: str
    before: Outcome
    after: Outcome


class Comparison(Struct, frozen=True):
    replay: Replay
    orders: list[Pair]


async def replay(run_id: Identifier, *, profile: Identifier, options: Options = PLAIN) -> None:
    """Do a past run's orders again with another profile and compare what came of them.

    Each begins at the commit where it began then, in a scratch theater; nothing of the past run is
    touched, and routing learns nothing from it.

    Args:
        run_id: A run that has ended.
        profile: The profile that does every order this time.
    """
    async with gateway() as client:
        started = await client.call(api.REPLAY_RUN, api.ReplayWish(profile=profile), run_id=run_id)
        if not options.json:
            say(f"replay {started.replay_id}: {len(started.parts)} scratch theater(s)")
        found = await _compared(client, started)
    if options.json:
        print_json(found)
        return
    print_table(
        ("title", "profile", "phase", "attempts", "seconds", "tokens", "bytes"),
        [_row(title, o) for p in found.orders for title, o in ((p.title, p.before), ("", p.after))],
    )
    then = sum(pair.before.phase == "INTEGRATED" for pair in found.orders)
    now = sum(pair.after.phase == "INTEGRATED" for pair in found.orders)
    say(f"merged: {then} of {len(found.orders)} then, {now} with {profile}")


async def _compared(client: "ServiceClient", started: Replay) -> Comparison:
    before = {o.order_id: o for o in (await client.call(api.GET_RUN, run_id=started.run_id)).orders}
    pairs: list[Pair] = []
    for part in started.parts:
        view = await ended_run(client, part.run_id)
        if view.run.plan is None:
            raise Failed(f"run {part.run_id} of the replay came to nothing: {view.run.reason}")
        after = {order.order_id: order for order in view.orders}
        for order_id, task in zip(part.order_ids, view.run.plan.tasks, strict=True):
            then, now = before[order_id], after[task.order_id]
            pairs.append(Pair(then.title, await _outcome(client, then), await _outcome(client, now)))
    return Comparison(started, pairs)


async def _outcome(client: "ServiceClient", order: OrderSnapshot) -> Outcome:
    wanted = f"{EventType.ORDER_STARTED},{EventType.INTEGRATED}"
    query = EventsQuery(order_id=order.order_id, types=wanted, limit=1_000)
    events = (await client.call(api.LIST_EVENTS, query=query)).events
    started = next((e.ts for e in events if e.type is EventType.ORDER_STARTED), None)
    merged = next((e.ts for e in events if e.type is EventType.INTEGRATED), None)
    model = order.report.model if order.report is not None else None
    return Outcome(
        order_id=order.order_id,
        profile=order.order.profile.name,
        phase=order.phase,
        attempts=order.attempt,
        seconds=(merged - started).total_seconds() if merged and started else None,
        tokens_out=model.tokens_out if model is not None else None,
        bytes=sum(artifact.size or 0 for artifact in order.artifacts),
    )


def _row(title: str, outcome: Outcome) -> tuple[object, ...]:
    return (
        *(first_line(title, 50), outcome.profile, outcome.phase, outcome.attempts),
        "" if outcome.seconds is None else f"{outcome.seconds:.2f}",
        *("" if outcome.tokens_out is None else outcome.tokens_out, outcome.bytes),
    )
