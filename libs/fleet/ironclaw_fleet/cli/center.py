"""The command center: `ironclaw center`."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_fleet.cli.output import PLAIN, Options, ago, first_line, print_json, print_table, say
from ironclaw_fleet.cli.session import gateway


async def center(
    *, limit: Annotated[int, Parameter(validator=Number(gte=1, lte=50))] = 10, options: Options = PLAIN
) -> None:
    """Show the command center: proof nodes, milestones with their risk, demand; what is stale says so.

    Args:
        limit: How many milestones at most.
    """
    async with gateway() as client:
        found = await client.call(api.COMMAND_CENTER)
    if options.json:
        print_json(found)
        return
    overview, summary = found.overview, found.demand.summary
    risks = overview.risk_counts
    say(
        f"{risks.on_track} on track, {risks.at_risk} at risk, {risks.blocked} blocked,"
        f" {risks.completed} completed; {overview.evidence_count} pieces of evidence,"
        f" {overview.dead_letter_count} dead letters"
    )
    if overview.stale:
        say("stale: nothing was accepted in the last five minutes")
    print_table(
        ("proof node", "state", "detail"), [(n.label, n.state, n.detail) for n in overview.proof_nodes]
    )
    say()
    print_table(
        ("risk", "age", "scope", "claim"),
        [(m.risk_status, ago(m.at), m.scope, first_line(m.claim)) for m in found.feed[:limit]],
    )
    say(f"\ndemand, {summary.source}: {summary.demand_narrative}")
    print_table(
        ("segment", "state", "signals"),
        [(s.label, s.state, s.live_signal_count) for s in found.demand.segments],
    )
