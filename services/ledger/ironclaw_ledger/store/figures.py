"""How much of what there is, in one statement, each part by an index on what is open."""

from datetime import datetime
from typing import Any

from msgspec import Struct

SELECT_FIGURES = """
select 'head' as kind, null as name, max(seq) as count, null::timestamptz as since from events
union all
select 'runs', null, count(*), null from runs where status = 'OPEN'
union all
select 'orders', o.phase, count(*), min(e.ts) from orders o join events e on e.seq = o.last_seq
where o.phase not in ('INTEGRATED', 'FAILED', 'CANCELLED') group by o.phase
union all
select 'leases', null, count(*), null from leases
union all
select 'overdue', null, count(*), null from leases where expires_at < $1
union all
select 'escalations', severity, count(*), null from escalations where state = 'open' group by severity
"""


class Figures(Struct, frozen=True):
    """`orders` has, for each phase, how many there are and when the longest standing one last moved."""

    head_seq: int
    runs_open: int
    leases: int
    leases_overdue: int
    orders: dict[str, tuple[int, datetime]]
    escalations: dict[str, int]


def figures_of(rows: list[Any]) -> Figures:
    """Return the rows of `SELECT_FIGURES` as a struct."""
    single = {row["kind"]: row["count"] or 0 for row in rows if row["name"] is None}
    return Figures(
        head_seq=single["head"],
        runs_open=single["runs"],
        leases=single["leases"],
        leases_overdue=single["overdue"],
        orders={r["name"]: (r["count"], r["since"]) for r in rows if r["kind"] == "orders"},
        escalations={r["name"]: r["count"] for r in rows if r["kind"] == "escalations"},
    )
