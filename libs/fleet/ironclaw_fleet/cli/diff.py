"""What an order changed."""

from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, say
from ironclaw_fleet.cli.session import gateway


async def diff(order_id: Identifier, *, as_of: str | None = None, options: Options = PLAIN) -> None:
    """Show what an order changed: its merge, or its commit while it is not merged.

    Args:
        order_id: The order.
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    async with gateway() as client:
        found = await client.call(api.GET_DIFF, query=AsOfQuery(as_of), order_id=order_id)
    if options.json:
        print_json(found)
        return
    say(found.patch.rstrip("\n"))
    if found.truncated:
        say(f"(cut here; git diff {found.base} {found.commit} has the whole of it)")
