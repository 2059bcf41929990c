"""The fleet at a glance, again every second: services, runs, open orders by state, escalations."""

import asyncio
import sys
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EscalationsQuery, OrdersQuery, RunsQuery
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.errors import RateLimited, Unavailable
from ironclaw_contracts.snapshots import RunSnapshot
from ironclaw_contracts.transitions import OPEN_PHASES
from ironclaw_fleet.cli.output import PLAIN, Options, ago, first_line, print_json, print_table, say
from ironclaw_fleet.cli.session import gateway

if TYPE_CHECKING:
    from rich.console import Group

    from ironclaw_chassis.client import ServiceClient

_PERIOD_SECONDS = 1.0
_ORDERS_MAX = 1_000
_RUNS_MAX = 20


class Glance(Struct, frozen=True, kw_only=True):
    """The fleet at one moment. `orders` counts the open ones by phase, at most the newest thousand."""

    not_ready: dict[str, str]
    services: int
    runs: list[RunSnapshot]
    orders: dict[str, int]
    escalations: int

    @property
    def headline(self) -> str:
        """The figures in one line."""
        ready = self.services - len(self.not_ready)
        return (
            f"{ready} of {self.services} services ready; {len(self.runs)} runs and"
            f" {sum(self.orders.values())} orders open; {self.escalations} escalations"
        )

    @property
    def states(self) -> str:
        """The open orders by state, in one line."""
        return ", ".join(f"{count} {phase.lower().replace('_', ' ')}" for phase, count in self.orders.items())


async def top(*, options: Options = PLAIN) -> None:
    """Watch the fleet until Ctrl-C; where the output is no terminal, show it once."""
    async with gateway() as client:
        glance = await _look(client)
        if options.json:
            print_json(glance)
        elif sys.stdout.isatty():
            await _live(client, glance)
        else:
            say(glance.headline)
            for line in (glance.states, *(f"{name}: {why}" for name, why in glance.not_ready.items())):
                if line:
                    say(line)
            print_table(_COLUMNS, _rows(glance))


_COLUMNS = ("run", "merged", "age", "objective")


def _rows(glance: Glance) -> list[tuple[str, str, str, str]]:
    return [
        (
            run.run_id,
            f"{run.orders_integrated}/{run.orders_total}",
            ago(run.created_at),
            first_line(run.objective),
        )
        for run in glance.runs
    ]


async def _look(client: "ServiceClient") -> Glance:
    orders = OrdersQuery(phases=",".join(sorted(OPEN_PHASES)), limit=_ORDERS_MAX)
    fleet, runs, page, escalations = await asyncio.gather(
        client.call(api.FLEET),
        client.call(api.LIST_RUNS, query=RunsQuery(status=RunStatus.OPEN, limit=_RUNS_MAX)),
        client.call(api.LIST_ORDERS, query=orders),
        client.call(api.LIST_ESCALATIONS, query=EscalationsQuery(state="open", limit=_ORDERS_MAX)),
    )
    return Glance(
        not_ready={s.service: s.detail for s in fleet.services if not s.ready},
        services=len(fleet.services),
        runs=runs.runs,
        orders=dict(sorted(Counter(order.phase.value for order in page.orders).items())),
        escalations=len(escalations.escalations),
    )


async def _live(client: "ServiceClient", glance: Glance) -> None:
    from rich.live import Live

    with Live(_drawn(glance), auto_refresh=False, screen=True) as live:
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            try:
                glance = await _look(client)
                live.update(_drawn(glance), refresh=True)
            except (Unavailable, RateLimited) as error:
                live.update(_drawn(glance, error.message), refresh=True)


def _drawn(glance: Glance, trouble: str = "") -> "Group":
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(*_COLUMNS, box=None, pad_edge=False, header_style="bold")
    for row in _rows(glance):
        table.add_row(*(Text(cell) for cell in row))
    lines = [Text(glance.headline, style="bold"), Text(glance.states)]
    lines += [Text(f"{name}: {why}", style="red") for name, why in glance.not_ready.items()]
    lines.append(Text(trouble or "Ctrl-C ends it", style="red" if trouble else "dim"))
    return Group(*lines, table)
