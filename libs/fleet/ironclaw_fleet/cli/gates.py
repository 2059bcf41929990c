"""The gates of theaters: `ironclaw gates`, `ironclaw approvals`, `ironclaw weather`."""

import sys

from cyclopts import App

from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.integration import TheaterGates
from ironclaw_contracts.endpoints.ledger import OrdersQuery
from ironclaw_contracts.enums import OrderPhase
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, ago, first_line, print_json, print_table, say
from ironclaw_fleet.cli.session import EXIT_FAILED, gateway

gates = App(name="gates", help="The gates that theaters ask for, and whether each can fail.")
approvals = App(name="approvals", help="Work that passed its gates and waits for a person.")


@gates.command
async def show(theater: Identifier, *, as_of: str | None = None, options: Options = PLAIN) -> int:
    """Show the gates of a theater's mainline; exit code 1 when merges halt because of one.

    Args:
        theater: The theater.
        as_of: What it asked for at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    async with gateway() as client:
        found = await client.call(api.SHOW_GATES, query=AsOfQuery(as_of), theater_id=theater)
    return _print(found, options)


@gates.command
async def prove(theater: Identifier, *, options: Options = PLAIN) -> int:
    """Have every gate of a theater refuse its planted bad commit now.

    Args:
        theater: The theater.
    """
    async with gateway() as client:
        found = await client.call(api.PROVE_GATES, theater_id=theater)
    return _print(found, options)


@gates.command
async def output(output_id: Identifier) -> None:
    """Print what a gate's command printed.

    Args:
        output_id: The hash that the gate's result names (`ironclaw integrate`, `ironclaw events --json`).
    """
    async with gateway() as client:
        content = await client.call(api.READ_OUTPUT, output_id=output_id)
    say(content.decode("utf-8", "replace"))


async def weather(theater: Identifier, *, options: Options = PLAIN) -> None:
    """Show which branches in flight will get in each other's way: soft when git merges them, hot when not.

    Args:
        theater: The theater.
    """
    async with gateway() as client:
        found = await client.call(api.GET_WEATHER, theater_id=theater)
    if options.json:
        print_json(found)
        return
    met = [(b.order_id, "mainline", b.state, b.paths) for b in found.branches]
    met += [(p.second, p.first, p.state, p.paths) for p in found.pairs]
    print_table(
        ("order", "meets", "state", "paths"),
        [(order, what, state, first_line(", ".join(paths))) for order, what, state, paths in met],
    )
    say(f"{found.state}: {len(found.branches)} branches in flight, {found.pairs_clear} pairs clear")


@gates.command
async def reports(*, options: Options = PLAIN) -> None:
    """Show how often the reports of each profile claimed what was not so."""
    async with gateway() as client:
        found = (await client.call(api.REPORT_FIGURES)).figures
    if options.json:
        print_json(found)
        return
    print_table(
        ("profile", "model", "reports", "wrong", "kinds"),
        [
            (
                f.profile,
                f.model,
                f.reports,
                f.wrong,
                ", ".join(f"{k} {n}" for k, n in sorted(f.kinds.items())),
            )
            for f in found
        ],
    )


@approvals.command(name="list")
async def list_(theater: Identifier, *, options: Options = PLAIN) -> None:
    """List the orders of a theater whose merges are held, and for what.

    Args:
        theater: The theater.
    """
    async with gateway() as client:
        query = OrdersQuery(phases=OrderPhase.HELD, theater_id=theater)
        found = (await client.call(api.LIST_ORDERS, query=query)).orders
    if options.json:
        print_json(found)
        return
    print_table(
        ("order", "attempt", "held", "reason"),
        [(o.order_id, o.attempt, ago(o.phase_since), first_line(o.hold or "", 90)) for o in found],
    )


@approvals.command
async def decide(
    order_id: Identifier, *, refuse: bool = False, note: str = "", options: Options = PLAIN
) -> None:
    """Approve an order that passed its gates, or refuse it.

    Args:
        order_id: The order.
        refuse: Turn it away instead; the note is what its next attempt is told.
        note: Why.
    """
    async with gateway() as client:
        request = api.DecisionRequest(approved=not refuse, note=note)
        decided = await client.call(api.DECIDE, request, order_id=order_id)
    if options.json:
        print_json(decided)
        return
    said = "approved" if decided.approved else "refused"
    say(f"{decided.order_id}, attempt {decided.attempt}: {said} by {decided.decided_by}")


def _print(found: TheaterGates, options: Options) -> int:
    halted = found.problem is not None or any(gate.state == "dead" for gate in found.gates)
    if options.json:
        print_json(found)
    else:
        print_table(
            ("gate", "kind", "state", "tried", "detail"),
            [
                (g.gate, g.kind, g.state, ago(g.tried_at) if g.tried_at else "", first_line(g.detail, 90))
                for g in found.gates
            ],
        )
        if found.problem is not None:
            sys.stderr.write(f"ironclaw: {found.problem}\n")
    return EXIT_FAILED if halted else 0
