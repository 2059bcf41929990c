"""A run's part of the ledger, with a proof that anybody can check without the rest."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from ironclaw_contracts.endpoints.ledger_proof import RunSlice
from ironclaw_contracts.errors import NotFound
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.merkle import prove
from ironclaw_contracts.receipts import FORMAT, Inclusion, ProvenEvent, Statement, statement_message
from ironclaw_ledger.checkpoints import CheckpointSigner
from ironclaw_ledger.store import Store


async def run_slice(store: Store, signer: CheckpointSigner, run_id: str) -> RunSlice:
    """Return a run's events up to the present head, proven. Raises `NotFound`.

    The proof is over the hashes of all events, so it costs as much as reading those once.
    """
    size, head_hash = await store.head()
    events = await store.bodies_of(run_id, size)
    if not events:
        raise NotFound(f"there is no run {run_id!r}")
    leaves = [leaf async for chunk in store.hash_chunks(size) for leaf in chunk]
    return await asyncio.to_thread(_proven, run_id, events, leaves, head_hash, signer, datetime.now(UTC))


def _proven(
    run_id: str,
    events: list[ProvenEvent],
    leaves: Sequence[bytes],
    head_hash: str,
    signer: CheckpointSigner,
    now: datetime,
) -> RunSlice:
    seqs, at = [event.seq for event in events], format_instant(now)
    root, nodes = prove(leaves, {seq - 1 for seq in seqs})
    message = statement_message(run_id, len(leaves), root.hex(), head_hash, seqs, at)
    statement = Statement(
        format=FORMAT,
        run_id=run_id,
        size=len(leaves),
        root=root.hex(),
        head_hash=head_hash,
        seqs=seqs,
        at=at,
        public_key=signer.public_key,
        signature=signer.sign_bytes(message),
    )
    return RunSlice(statement=statement, events=events, inclusion=Inclusion([node.hex() for node in nodes]))
