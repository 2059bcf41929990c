"""What a restored ledger says: its chain, verified, and the merges and worktrees that it speaks of."""

from typing import Any

import msgspec
from msgspec import Struct, field

from ironclaw_contracts.chain import ChainVerifier, Checkpoint, ExportedEvent
from ironclaw_contracts.transitions import TERMINAL_PHASES
from ironclaw_fleet.backup.manifest import Broken, Manifest

_CHUNK = 5_000


class Truth(Struct):
    """The head of the chain, and by theater: its merges, oldest first, and the base of its first worktree."""

    head_seq: int
    head_hash: str
    merges: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    bases: dict[str, str] = field(default_factory=dict[str, str])


async def check_chain(connection: Any, manifest: Manifest, until: int | None = None) -> Truth:
    """Recompute the chain under the ledger's key, up to a seq or to the backup's head. Raises `Broken`."""
    verifier = ChainVerifier(manifest.public_key)
    rows = await connection.fetch("select seq, hash, signature, public_key from ledger.checkpoints")
    checkpoints = {row["seq"]: Checkpoint(*row) for row in rows}
    truth = Truth(0, "")
    end = manifest.head_seq if until is None else until
    for after in range(0, end, _CHUNK):
        for row in await connection.fetch(
            "select seq, type, theater_id, body, hash from ledger.events"
            " where seq > $1 and seq <= $2 order by seq",
            after,
            min(end, after + _CHUNK),
        ):
            verifier.feed(ExportedEvent(row["body"], row["hash"]))
            if row["seq"] in checkpoints:
                verifier.feed(checkpoints[row["seq"]])
            _note(truth, row)
    found = verifier.result(sealed=True)
    if not found.ok:
        raise Broken(f"the ledger in the backup is broken at seq {found.bad_seq}: {found.reason}")
    if found.head_seq != end or (until is None and found.head_hash != manifest.head_hash):
        raise Broken(f"the ledger in the backup ends at {found.head_seq}, its manifest says {end}")
    truth.head_seq, truth.head_hash = found.head_seq, found.head_hash
    return truth


def _note(truth: Truth, row: Any) -> None:
    if row["type"] == "INTEGRATED":
        payload = msgspec.json.decode(row["body"])["payload"]
        truth.merges.setdefault(row["theater_id"], []).append(payload["commit_sha"])
    elif row["type"] == "WORKTREE_CREATED" and row["theater_id"] not in truth.bases:
        truth.bases[row["theater_id"]] = msgspec.json.decode(row["body"])["payload"]["base_commit"]


def merges_of(truth: Truth, theater_id: str) -> list[str]:
    """Return the merges of a theater, oldest first."""
    return truth.merges.get(theater_id, [])


def mainline_of(truth: Truth, theater_id: str) -> str | None:
    """Return where a mainline stood: at the newest merge, else where the first worktree began."""
    merges = merges_of(truth, theater_id)
    return merges[-1] if merges else truth.bases.get(theater_id)


async def open_worktrees(connection: Any) -> dict[str, str]:
    """Return the worktrees of the orders that have not ended, by order."""
    rows = await connection.fetch(
        "select order_id, snapshot from ledger.orders where phase <> all($1)", sorted(TERMINAL_PHASES)
    )
    found: dict[str, str] = {}
    for row in rows:
        worktree = msgspec.json.decode(row["snapshot"])["worktree"]
        if worktree is not None:
            found[row["order_id"]] = worktree["path"]
    return found
