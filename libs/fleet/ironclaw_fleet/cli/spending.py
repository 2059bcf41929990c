"""What model calls cost: `ironclaw spending RUN`."""

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.spending import MICROUSD
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, print_table
from ironclaw_fleet.cli.session import gateway


async def spending(run_id: Identifier, *, options: Options = PLAIN) -> None:
    """Show what a run and the key that pays for it have spent, hold back, and may spend.

    Args:
        run_id: The run.
    """
    async with gateway() as client:
        found = await client.call(api.RUN_SPENDING, run_id=run_id)
    if options.json:
        print_json(found)
        return
    print_table(
        ("account", "tokens", "held back", "of", "US dollars", "held back", "of"),
        [
            (
                *(a.account, a.tokens, a.reserved_tokens, _of(a.ceiling.tokens)),
                *(_usd(a.cost_microusd), _usd(a.reserved_cost_microusd), _of(a.ceiling.usd)),
            )
            for a in found.accounts
        ],
    )


def _usd(microusd: int) -> str:
    return f"{microusd / MICROUSD:.6f}"


def _of(ceiling: float | None) -> str:
    return "no ceiling" if ceiling is None else f"{ceiling:g}"
