"""Salvaged work: `ironclaw salvage list | show | restore`."""

from cyclopts import App

from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import Restoration, SalvageQuery
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, ago, print_json, print_table, say
from ironclaw_fleet.cli.session import gateway

salvage = App(name="salvage", help="Work kept from attempts that were not merged.")


@salvage.command(name="list")
async def list_(theater: Identifier, *, as_of: str | None = None, options: Options = PLAIN) -> None:
    """List what is kept in a theater, newest first.

    Args:
        theater: The theater.
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    async with gateway() as client:
        found = await client.call(api.LIST_SALVAGE, query=AsOfQuery(as_of), theater_id=theater)
    if options.json:
        print_json(found)
        return
    print_table(
        ("order", "attempt", "commit", "age", "merged", "subject"),
        [
            (s.order_id, s.attempt, s.commit[:12], ago(s.kept_at), "yes" if s.merged else "no", s.subject)
            for s in found.salvage
        ],
    )


@salvage.command
async def show(
    order_id: Identifier, *, attempt: int | None = None, as_of: str | None = None, options: Options = PLAIN
) -> None:
    """Show what the kept work of an order changes.

    Args:
        order_id: The order.
        attempt: Which attempt; the newest one otherwise.
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    query = SalvageQuery(attempt=attempt, as_of=as_of)
    async with gateway() as client:
        found = await client.call(api.SHOW_SALVAGE, query=query, order_id=order_id)
    if options.json:
        print_json(found)
        return
    say(f"{found.salvage.ref} {found.salvage.commit}, from {found.base_commit}")
    say(found.diff)
    if found.truncated:
        say(f"... cut here; all of it: git diff {found.base_commit} {found.salvage.ref}")


@salvage.command
async def restore(
    order_id: Identifier, *, attempt: int | None = None, branch: str | None = None, options: Options = PLAIN
) -> None:
    """Put the kept work of an order on a branch of its theater's repository.

    Args:
        order_id: The order.
        attempt: Which attempt; the newest one otherwise.
        branch: The branch to make; restored/ORDER.ATTEMPT otherwise.
    """
    request = Restoration(attempt=attempt, branch=branch)
    async with gateway() as client:
        done = await client.call(api.RESTORE_SALVAGE, request, order_id=order_id)
    print_json(done) if options.json else say(f"{done.branch} is at {done.commit} in {done.repo_path}")
