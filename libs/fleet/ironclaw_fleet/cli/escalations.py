"""Escalations: `ironclaw escalations list | ack`."""

from typing import Literal

from cyclopts import App

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EscalationsQuery
from ironclaw_contracts.enums import Severity
from ironclaw_fleet.cli.output import PLAIN, Options, ago, print_json, print_table, say
from ironclaw_fleet.cli.session import gateway

escalations = App(name="escalations", help="What a person should know, to be worked off.")


@escalations.command(name="list")
async def list_(
    *,
    severity: Severity | None = None,
    state: Literal["open", "acked", "all"] = "open",
    limit: int = 50,
    options: Options = PLAIN,
) -> None:
    """List escalations, newest first.

    Args:
        severity: Only these.
        state: Which to show: open, acked or all.
        limit: How many at most.
    """
    query = EscalationsQuery(severity=severity, state=None if state == "all" else state, limit=limit)
    async with gateway() as client:
        page = await client.call(api.LIST_ESCALATIONS, query=query)
    if options.json:
        print_json(page)
        return
    if not page.escalations:
        say("no escalations")
        return
    print_table(
        ("escalation", "severity", "age", "by", "state", "reason"),
        [
            (e.escalation_id, e.severity, ago(e.raised_at), e.source, e.acked_by or e.state, e.reason)
            for e in page.escalations
        ],
    )


@escalations.command
async def ack(escalation_id: str, *, note: str = "", options: Options = PLAIN) -> None:
    """Say that you have seen an escalation, and what you did about it.

    Args:
        escalation_id: The escalation, as `ironclaw escalations list` names it.
        note: What was done about it.
    """
    async with gateway() as client:
        done = await client.call(api.ACK_ESCALATION, api.AckRequest(note=note), escalation_id=escalation_id)
    print_json(done) if options.json else say(f"{done.escalation_id}: acknowledged by {done.acked_by}")
