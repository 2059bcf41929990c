"""Accounts and reservations. One lock orders every change: calls last seconds, changes milliseconds."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from ironclaw_chassis.database import available
from ironclaw_contracts.spending import Account, Ceiling, Spent, Worst

_LOCK = 0x1C1A_0003
_ANSWER_SECONDS = 5.0
_FORGET = "delete from reservations where lapsed and made_at < $1::timestamptz - interval '1 day'"
# A lease that is gone or has run out ends what its unit reserved.
_LAPSE = """
with over as (
    select r.* from reservations r
    left join leases l
        on l.order_id = r.order_id and l.attempt = r.attempt and l.unit_id = r.unit_id and l.expires_at > $1
    where not r.lapsed
      and case when r.order_id is null then r.expires_at <= $1 else l.order_id is null end
), dropped as (
    delete from reservations using over
    where reservations.reservation_id = over.reservation_id and not over.sent
), kept as (
    update reservations set lapsed = true from over
    where reservations.reservation_id = over.reservation_id and over.sent
)
insert into accounts as a (account, tokens, cost_microusd)
select name, sum(tokens), sum(cost_microusd)
from over, unnest(over.accounts) as name where over.sent group by name
on conflict (account) do update
set tokens = a.tokens + excluded.tokens, cost_microusd = a.cost_microusd + excluded.cost_microusd
"""
_STANDING = """
select name as account, coalesce(a.tokens, 0) as tokens, coalesce(a.cost_microusd, 0) as cost_microusd,
       coalesce(sum(r.tokens), 0)::bigint as reserved_tokens,
       coalesce(sum(r.cost_microusd), 0)::bigint as reserved_cost_microusd
from unnest($1::text[]) as name
left join accounts a on a.account = name
left join reservations r on r.accounts @> array[name] and not r.lapsed
group by name, a.tokens, a.cost_microusd
"""
_RESERVE = """
insert into reservations
    (reservation_id, accounts, order_id, attempt, unit_id, tokens, cost_microusd, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_HOLDS = """
select 1 from leases where order_id = $1 and attempt = $2 and unit_id = $3 and expires_at > $4
"""
_CHARGE = """
insert into accounts as a (account, tokens, cost_microusd) select name, $2, $3 from unnest($1::text[]) as name
on conflict (account) do update
set tokens = a.tokens + excluded.tokens, cost_microusd = a.cost_microusd + excluded.cost_microusd
"""


class SpendingStore:
    """Opens transactions on the accounts; every failure of the database is `Unavailable`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def alone(self, now: datetime) -> AsyncGenerator["Books"]:
        """Hold the accounts alone in a transaction; what has lapsed by `now` is entered first."""
        async with (
            available("the ledger's database"),
            self._pool.acquire(timeout=_ANSWER_SECONDS) as connection,
            connection.transaction(),
        ):
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute(_LAPSE, now)
            await connection.execute(_FORGET, now)
            yield Books(connection)

    async def standing(self, ceilings: dict[str, Ceiling]) -> list[Account]:
        """Return how accounts stand, without holding them."""
        async with available("the ledger's database"), self._pool.acquire(timeout=_ANSWER_SECONDS) as held:
            return await Books(held).standing(ceilings)


class Books:
    """Reads and changes the accounts inside one transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def standing(self, ceilings: dict[str, Ceiling]) -> list[Account]:
        """Return how each account stands, in the order given."""
        rows = {row["account"]: row for row in await self._connection.fetch(_STANDING, list(ceilings))}
        return [Account(**dict(rows[name]), ceiling=ceiling) for name, ceiling in ceilings.items()]

    async def holds_lease(self, order_id: str, attempt: int, unit_id: str, now: datetime) -> bool:
        """Tell whether a unit holds its order's lease."""
        return bool(await self._connection.fetchval(_HOLDS, order_id, attempt, unit_id, now))

    async def find(self, reservation_id: str) -> Any:
        """Return a reservation's row, or None."""
        return await self._connection.fetchrow(
            "select * from reservations where reservation_id = $1", reservation_id
        )

    async def reserve(
        self, reservation_id: str, accounts: Sequence[str], worst: Worst, expires_at: datetime
    ) -> None:
        """Hold back the most that a call can cost."""
        await self._connection.execute(
            _RESERVE,
            reservation_id,
            list(accounts),
            worst.order_id,
            worst.attempt,
            worst.unit_id,
            worst.tokens,
            worst.cost_microusd or 0,
            expires_at,
        )

    async def mark_sent(self, reservation_id: str) -> None:
        """Note that the provider may bill from here on."""
        await self._connection.execute(
            "update reservations set sent = true where reservation_id = $1", reservation_id
        )

    async def settle(self, row: Any, spent: Spent) -> None:
        """Enter what a call cost in place of what was reserved, or charged when it lapsed."""
        before = (row["tokens"], row["cost_microusd"]) if row["lapsed"] else (0, 0)
        await self._connection.execute(
            "delete from reservations where reservation_id = $1", row["reservation_id"]
        )
        await self._connection.execute(
            _CHARGE, row["accounts"], spent.tokens - before[0], spent.cost_microusd - before[1]
        )
