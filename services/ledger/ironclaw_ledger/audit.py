"""Look at the whole ledger: verify the chain, export it, rebuild the snapshots."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
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
from ironclaw_contracts.endpoints.ledger_proof import Rebuilt
from ironclaw_ledger.append import event_from_body
from ironclaw_ledger.checkpoints import CheckpointSigner
from ironclaw_ledger.fold import as_text
from ironclaw_ledger.replay import Replay
from ironclaw_ledger.store import Store

_COLUMNS = ("seq", "event_id", "type", "theater_id", "run_id", "order_id", "source")


async def export(store: Store, signer: CheckpointSigner) -> AsyncIterator[bytes]:
    """Return the ledger up to its present head as JSON lines, checkpoints in place, the last one of the head.

    The head is read first: writers that keep writing cannot make an export endless.
    """
    head, _ = await store.head()
    return _export(store, signer, head)


async def _export(store: Store, signer: CheckpointSigner, head: int) -> AsyncIterator[bytes]:
    checkpoints = {c.seq: c for c in await store.checkpoints()}
    seq, hash_hex = 0, GENESIS_HASH
    async for rows in store.event_chunks(until=head):
        lines: list[ExportLine] = []
        for row in rows:
            seq, hash_hex = row["seq"], row["hash"]
            lines.append(ExportedEvent(body=row["body"], hash=hash_hex))
            if seq in checkpoints:
                lines.append(checkpoints[seq])
        yield b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    if seq not in checkpoints:
        yield msgspec.json.encode(signer.sign(seq, hash_hex)) + b"\n"


async def verify(store: Store, public_key: str, witnessed: int = 0) -> Verification:
    """Recompute the chain from the stored bytes and compare it with the columns and the checkpoints.

    A tail that was cut off shows as a checkpoint or a snapshot beyond the end, or by `witnessed`, the highest
    seq that this process saw committed.
    """
    appended = max(witnessed, await store.appended_max())
    checkpoints = {c.seq: c for c in await store.checkpoints()}
    verifier = ChainVerifier(public_key)
    async for rows in store.event_chunks():
        if not await asyncio.to_thread(_feed, verifier, rows, checkpoints):
            break
    if appended >= verifier.next_seq:
        verifier.fault(verifier.next_seq, f"events are missing: there were events up to seq {appended}")
    return verifier.result(sealed=True)


def _feed(verifier: ChainVerifier, rows: Iterable[Any], checkpoints: dict[int, Checkpoint]) -> bool:
    for row in rows:
        for line in _lines(row, checkpoints):
            if not verifier.feed(line):
                return False
        stored = msgspec.json.decode(row["body"])
        differing = [column for column in _COLUMNS if stored[column] != row[column]]
        if datetime.fromisoformat(stored["ts"]) != row["ts"]:
            differing.append("ts")
        if differing:
            verifier.fault(row["seq"], f"column {differing[0]} differs from the event")
            return False
    return True


def _lines(row: Any, checkpoints: dict[int, Checkpoint]) -> Iterator[ExportLine]:
    yield ExportedEvent(body=row["body"], hash=row["hash"])
    if row["seq"] in checkpoints:
        yield checkpoints[row["seq"]]


async def rebuild(store: Store) -> Rebuilt:
    """Derive every snapshot again and replace the live ones.

    Appends wait meanwhile; those that would wait longer than a few seconds are answered `Unavailable`.
    """
    async with store.appending() as transaction:
        replay = Replay()
        async for rows in store.event_chunks():
            await asyncio.to_thread(_replay, replay, rows)
        live_runs, live_orders, live_escalations = await store.snapshot_texts()
        derived = (*replay.runs.items(), *replay.orders.items(), *replay.escalations.items())
        rebuilt = {key: as_text(snapshot) for key, snapshot in derived}
        live = live_runs | live_orders | live_escalations
        differing = sorted(i for i in rebuilt.keys() | live.keys() if rebuilt.get(i) != live.get(i))
        await transaction.replace_snapshots(
            replay.runs.values(), replay.orders.values(), replay.escalations.values()
        )
    return Rebuilt(
        events=replay.events,
        runs=len(replay.runs),
        orders=len(replay.orders),
        differing=differing,
        state_sha256=_digest(rebuilt),
    )


def _digest(snapshots: dict[str, str]) -> str:
    """Return the digest of snapshots by id."""
    digest = hashlib.sha256()
    for key in sorted(snapshots):
        digest.update(f"{key}\n{snapshots[key]}\n".encode())
    return digest.hexdigest()


def _replay(replay: Replay, rows: Iterable[Any]) -> None:
    for row in rows:
        replay.feed(event_from_body(row["body"], GENESIS_HASH, row["hash"]))
