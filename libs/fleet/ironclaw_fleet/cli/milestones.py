"""Milestones on their way: `ironclaw milestones list | redeliver | emit`."""

from typing import Annotated, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.co import HandMade, OutboxPage, OutboxQuery, Redelivery
from ironclaw_contracts.milestones import EVIDENCE_TYPES, Evidence
from ironclaw_contracts.outbox import OutgoingStatus
from ironclaw_fleet.cli.output import PLAIN, Options, ago, print_json, print_table, say
from ironclaw_fleet.cli.session import EXIT_USAGE, Failed, gateway

milestones = App(name="milestones", help="What the fleet tells the outside, and how its delivery goes.")


@milestones.command(name="list")
async def list_(
    *,
    status: OutgoingStatus | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=500))] = 20,
    options: Options = PLAIN,
) -> None:
    """List milestones and demand summaries, newest first.

    Args:
        status: Only these.
        limit: How many at most.
    """
    async with gateway() as client:
        page = await client.call(api.LIST_MILESTONES, query=OutboxQuery(status=status, limit=limit))
    _print(page, options)


@milestones.command
async def redeliver(key: str | None = None, *, options: Options = PLAIN) -> None:
    """Deliver a dead letter again, or all of them.

    Args:
        key: The idempotency key of one dead letter; all of them otherwise.
    """
    async with gateway() as client:
        page = await client.call(api.REDELIVER_MILESTONES, Redelivery(idempotency_key=key))
    _print(page, options)


@milestones.command
async def emit(
    scope: str,
    claim: str,
    *,
    next_action: str = "None.",
    risk: Literal["on-track", "at-risk", "blocked", "completed"] = "on-track",
    evidence: list[str] | None = None,
    options: Options = PLAIN,
) -> None:
    """Publish a milestone by hand; its source is `operator`.

    Args:
        scope: What it is about.
        claim: What is claimed.
        next_action: What happens next.
        risk: How it stands.
        evidence: Where it can be checked, as type:path:summary; several times for several.
    """
    made = HandMade(
        scope=scope,
        claim=claim,
        next_action=next_action,
        risk_status=risk,
        evidence=[_evidence(item) for item in evidence or []],
    )
    async with gateway() as client:
        page = await client.call(api.EMIT_MILESTONE, made)
    _print(page, options)


def _evidence(text: str) -> Evidence:
    kind, _, rest = text.partition(":")
    path, _, summary = rest.partition(":")
    if kind not in EVIDENCE_TYPES or not path.strip() or not summary.strip():
        known = ", ".join(EVIDENCE_TYPES)
        raise Failed(f"--evidence {text!r}: write type:path:summary, the type one of {known}", EXIT_USAGE)
    return Evidence(kind, path.strip(), summary.strip())


def _print(page: OutboxPage, options: Options) -> None:
    if options.json:
        print_json(page)
        return
    if not page.records:
        say("nothing there")
        return
    print_table(
        ("key", "channel", "status", "tries", "age", "reason"),
        [
            (r.idempotency_key, r.channel, r.status, r.tries, ago(r.created_at), r.reason or "")
            for r in page.records
        ],
    )
