"""Look at the whole ledger: verify the chain, export it, rebuild the snapshots."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import msgspec

from ironclaw_contracts.chain import (
    GENESIS_HASH,
    ChainVerifier,
    Checkpoint,
    ExportedEvent,
    ExportLine,
    Verification,
)
from ironclaw_contracts.endpoints.ledger import Rebuilt
from ironclaw_ledger.append import event_from_body
from ironclaw_ledger.checkpoints import CheckpointSigner
from ironclaw_ledger.fold import as_text
from ironclaw_ledger.replay import Replay
from ironclaw_ledger.store import Store

_COLUMNS = ("seq", "event_id", "type", "run_id", "order_id", "source")


async def export(store: Store, signer: CheckpointSigner) -> AsyncIterator[bytes]:
    """Yield the ledger as JSON lines, checkpoints in their places, sealed with one of its head."""
    checkpoints = {c.seq: c for c in await store.checkpoints()}
    seq, hash_hex = 0, GENESIS_HASH
    async for rows in store.event_chunks():
        lines: list[ExportLine] = []
        for row in rows:
            seq, hash_hex = row["seq"], row["hash"]
            lines.append(ExportedEvent(body=row["body"], hash=hash_hex))
            if seq in checkpoints:
                lines.append(checkpoints[seq])
        yield b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    if seq not in checkpoints:
        yield msgspec.json.encode(signer.sign(seq, hash_hex)) + b"\n"


async def verify(store: Store, public_key: str) -> Verification:
    """Recompute the chain from the stored bytes and compare it with the columns and the checkpoints.

    A tail that was cut off shows as a checkpoint beyond the end.
    """
    checkpoints = {c.seq: c for c in await store.checkpoints()}
    verifier = ChainVerifier(public_key)
    async for rows in store.event_chunks():
        if not await asyncio.to_thread(_feed, verifier, rows, checkpoints):
            break
    missing = [seq for seq in sorted(checkpoints) if seq >= verifier.next_seq]
    if missing:
        verifier.fault(verifier.next_seq, f"events are missing: a signed checkpoint names seq {missing[0]}")
    return verifier.result(sealed=True)


def _feed(verifier: ChainVerifier, rows: Iterable[Any], checkpoints: dict[int, Checkpoint]) -> bool:
    for row in rows:
        for line in _lines(row, checkpoints):
            if not verifier.feed(line):
                return False
        stored = msgspec.json.decode(row["body"])
        differing = [column for column in _COLUMNS if stored[column] != row[column]]
        if differing:
            verifier.fault(row["seq"], f"column {differing[0]} differs from the event")
            return False
    return True


def _lines(row: Any, checkpoints: dict[int, Checkpoint]) -> Iterator[ExportLine]:
    yield ExportedEvent(body=row["body"], hash=row["hash"])
    if row["seq"] in checkpoints:
        yield checkpoints[row["seq"]]


async def rebuild(store: Store) -> Rebuilt:
    """Derive every snapshot again and replace the live ones; appends wait meanwhile."""
    async with store.appending() as transaction:
        replay = Replay()
        async for rows in store.event_chunks():
            await asyncio.to_thread(_replay, replay, rows)
        live_runs, live_orders = await store.snapshot_texts()
        rebuilt = {i: as_text(s) for i, s in (*replay.runs.items(), *replay.orders.items())}
        live = live_runs | live_orders
        differing = sorted(i for i in rebuilt.keys() | live.keys() if rebuilt.get(i) != live.get(i))
        await transaction.replace_snapshots(replay.runs.values(), replay.orders.values())
    return Rebuilt(
        events=replay.events, runs=len(replay.runs), orders=len(replay.orders), differing=differing
    )


def _replay(replay: Replay, rows: Iterable[Any]) -> None:
    for row in rows:
        replay.feed(event_from_body(row["body"], GENESIS_HASH, row["hash"]))
