"""Rows of the ledger's tables as structs."""

from typing import Any

import msgspec

from ironclaw_contracts.chain import GENESIS_HASH
from ironclaw_contracts.endpoints.ledger_proof import Mainline
from ironclaw_contracts.events import Event
from ironclaw_contracts.snapshots import Escalation, Lead, Lease, OrderSnapshot, OrderView, RunSnapshot
from ironclaw_ledger.append import event_from_body

decode_run = msgspec.json.Decoder(RunSnapshot).decode
decode_order = msgspec.json.Decoder(OrderSnapshot).decode
decode_escalation = msgspec.json.Decoder(Escalation).decode

# Seq has no gaps, so that the row before the first has the hash before.
SELECT_PAGE = "select seq, type, body, hash from events where seq between $1 and $1 + $2 order by seq"

# Merges speak first: a worktree that was begun before a merge may be told of after it.
SELECT_MAINLINES = """
select distinct on (theater_id) theater_id, seq, ts, body from events
where type in ('INTEGRATED', 'WORKTREE_CREATED') and seq <= $1 and ($2::text is null or theater_id = $2)
order by theater_id, type = 'INTEGRATED' desc, case when type = 'INTEGRATED' then -seq else seq end
"""

# One statement; where somebody else holds the lead the update does nothing and the second half reads whose.
TAKE_LEAD = """
with taken as (
    insert into leads (lead_id, service, holder, expires_at) values ($1, $2, $3, $4)
    on conflict (lead_id) do update
    set service = excluded.service, holder = excluded.holder, expires_at = excluded.expires_at
    where leads.expires_at <= $5 or (leads.service = excluded.service and leads.holder = excluded.holder)
    returning *
)
select * from taken
union all
select * from leads where lead_id = $1 and not exists (select from taken)
"""


def lease_of(row: Any) -> Lease:
    """Return a row of leases."""
    return Lease(
        row["order_id"],
        row["attempt"],
        row["unit_id"],
        row["expires_at"],
        row["progressed_at"],
        row["lease_seconds"],
    )


def lead_of(row: Any) -> Lead:
    """Return a row of leads."""
    return Lead(row["lead_id"], row["service"], row["holder"], row["expires_at"])


def order_view_of(row: Any) -> OrderView:
    """Return a row of orders joined with leases."""
    lease = None if row["unit_id"] is None else lease_of(row)
    return OrderView(order=decode_order(row["snapshot"]), lease=lease)


def mainline_of(row: Any) -> Mainline:
    """Return a row that tells of a merge, or of a worktree's base."""
    payload: dict[str, str] = msgspec.json.decode(row["body"])["payload"]
    commit = payload.get("base_commit") or payload["commit_sha"]
    return Mainline(row["theater_id"], commit, row["seq"], row["ts"])


def event_of(row: Any) -> Event:
    """Return a row of events, with the hash of the one before."""
    return event_from_body(row["body"], row["prev_hash"], row["hash"])


def frames_of(rows: list[Any], after: int) -> bytes:
    """Return rows after a seq as server-sent events; the row at that seq, if there is one, comes with them.

    What is stored is put together as it is: whoever catches up with millions of events would otherwise wait
    for each to be parsed and printed.
    """
    frames: list[str] = []
    before = GENESIS_HASH
    for seq, kind, body, digest in rows:
        if seq > after:
            hashes = f'"prev_hash":"{before}","hash":"{digest}"'
            frames.append(f"id: {seq}\r\nevent: {kind}\r\ndata: {body[:-1]},{hashes}}}\r\n\r\n")
        before = digest
    return "".join(frames).encode()
