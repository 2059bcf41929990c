"""Ledger: search the events, see the head of the chain, verify it event by event."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from ironclaw_api_gateway.console.pages import Asked, Context, Pages, View
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.chain import ChainVerifier, ExportLine
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.errors import BadRequest, NotFound
from ironclaw_contracts.events import EventType
from ironclaw_contracts.ids import check_id

_SHOWN = 100
_NEWEST = 2**63 - 1
_BATCH = 2_000
_FIELDS = ("type", "run_id", "order_id", "theater_id")

_decode = msgspec.json.Decoder(ExportLine).decode


def add_ledger(pages: Pages, client: ServiceClient) -> None:
    """Register the search and the verification."""

    async def search(asked: Asked) -> Context:
        given = {name: asked.query.get(name, "").strip() for name in _FIELDS}
        if given["type"] and given["type"] not in EventType.__members__:
            raise BadRequest(f"type: there is no event type {given['type'][:40]!r}")
        before = asked.number("before")
        query = ledger.EventsQuery(
            type=EventType(given["type"]) if given["type"] else None,
            before=max(before, 1) if before is not None else _NEWEST,
            limit=_SHOWN,
            run_id=_id(given, "run_id"),
            order_id=_id(given, "order_id"),
            theater_id=_id(given, "theater_id"),
        )
        chain, page = await asyncio.gather(
            client.call(ledger.GET_CHAIN), client.call(ledger.LIST_EVENTS, query=query)
        )
        return {
            "chain": chain,
            "events": page.events,
            "next_before": page.next_after,
            "given": given,
            "before": before,
            "types": list(EventType),
        }

    async def verify(asked: Asked) -> Context:
        chain = await client.call(ledger.GET_CHAIN)
        if not asked.following:
            return {"chain": chain, "done": 0, "total": chain.head_seq, "result": None}
        memory = asked.memory
        verifier: ChainVerifier = memory.setdefault("verifier", ChainVerifier(chain.public_key))
        total: int = memory.setdefault("total", chain.head_seq)
        lines: AsyncIterator[bytes] = memory.setdefault("lines", client.lines(ledger.EXPORT))
        more = await _advance(verifier, lines)
        result = None if more else verifier.result()
        done = verifier.next_seq - 1
        return {"chain": chain, "done": done, "total": max(total, done), "result": result, "live": more}

    async def event(asked: Asked) -> Context:
        given = asked.path["seq"]
        if not given.isdecimal() or len(given) > 18 or given == "0":
            raise BadRequest(f"seq is {given[:40]!r}: give a whole number from 1 on")
        query = ledger.EventsQuery(after=int(given) - 1, limit=1)
        page = await client.call(ledger.LIST_EVENTS, query=query)
        if not page.events:
            raise NotFound(f"the ledger ends before event {given}")
        return {"event": page.events[0]}

    pages.views += [
        View(
            path="/console/events/{seq:str}",
            name="ledger",
            gather=event,
            template="event.html",
            operators=True,
        ),
        View(path="/console/ledger", name="ledger", gather=search, parts=("head", "events"), operators=True),
        View(
            path="/console/ledger/verify",
            name="ledger",
            gather=verify,
            template="verify.html",
            parts=("verification",),
            operators=True,
            period_seconds=0.02,
        ),
    ]


def _id(given: dict[str, str], name: str) -> str | None:
    """Return an identifier of the search. Raises `BadId` naming the field."""
    return check_id(given[name], name) if given[name] else None


async def _advance(verifier: ChainVerifier, lines: AsyncIterator[Any]) -> bool:
    """Feed the next batch of an export; return whether more may follow."""
    batch: list[bytes] = []
    async for line in lines:
        if line.strip():
            batch.append(line)
        if len(batch) >= _BATCH:
            break
    held = await asyncio.to_thread(_feed, verifier, batch)
    return held and len(batch) >= _BATCH


def _feed(verifier: ChainVerifier, batch: list[bytes]) -> bool:
    """Verify a batch off the event loop; return False from the first fault on."""
    for raw in batch:
        try:
            line = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            verifier.fault(verifier.next_seq, f"not a line of an export: {error}")
            return False
        if not verifier.feed(line):
            return False
    return True
