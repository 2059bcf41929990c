"""Verdicts, outputs, proofs and approvals. The only place with SQL."""

import hashlib
import zlib
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal

import asyncpg
from msgspec import Struct

from ironclaw_chassis.database import available, close_pool, open_pool

_ANSWER_SECONDS = 10.0
_KEEP_VERDICT = """
insert into verdicts (tree, definition, toolchain, gate, verdict, detail, flaky, output)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (tree, definition, toolchain) do nothing
"""
_KEEP_OUTPUT = """
insert into outputs (sha256, content) values ($1, $2)
on conflict (sha256) do update set kept_at = now()
"""
_KEEP_PROOF = """
insert into proofs (theater_id, gate, definition, toolchain, state, detail, output, commit_sha)
values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (theater_id, gate) do update
set definition = excluded.definition, toolchain = excluded.toolchain, state = excluded.state,
    detail = excluded.detail, output = excluded.output, commit_sha = excluded.commit_sha, tried_at = now()
"""
_DECIDE = """
insert into approvals (order_id, attempt, commit_sha, approved, decided_by, note)
values ($1, $2, $3, $4, $5, $6)
on conflict (order_id, attempt, commit_sha) do nothing
"""

_NOTE = """
insert into reports (order_id, attempt, profile, model, mismatches) values ($1, $2, $3, $4, $5)
on conflict (order_id, attempt) do update set mismatches = excluded.mismatches
"""
_FIGURES = """
select profile, model, count(*) as reports, count(*) filter (where mismatches <> '{}') as wrong
from reports group by profile, model order by profile, model
"""
_KINDS = """
select profile, model, kind, count(*) as times from reports, unnest(mismatches) as kind
group by profile, model, kind
"""

ProofState = Literal["alive", "dead", "unproven"]


class Key(Struct, frozen=True):
    """What a verdict depends on: the tree, the gate's definition and the tools, each by its hash."""

    tree: str
    definition: str
    toolchain: str


class KeptVerdict(Struct, frozen=True):
    """A verdict that stands: passed or failed, never that a gate could not run."""

    verdict: str
    detail: str
    flaky: bool
    output: str | None


class Proof(Struct, frozen=True):
    """How a gate's planted bad commit fared, on top of `commit_sha`."""

    gate: str
    definition: str
    toolchain: str
    state: ProofState
    detail: str
    output: str | None
    commit_sha: str
    tried_at: datetime | None = None

    @property
    def episode(self) -> str:
        """The same as long as the gate and its state are."""
        return f"{self.state}-{self.definition}-{self.toolchain}"[:200]


class Figure(Struct, frozen=True):
    """Of a profile and model: reports judged, those that claim what was not so, and how often each kind."""

    profile: str
    model: str
    reports: int
    wrong: int
    kinds: dict[str, int]


class Approval(Struct, frozen=True):
    """A person's decision about one result of an order."""

    approved: bool
    decided_by: str
    note: str
    decided_at: datetime


def _available() -> AbstractAsyncContextManager[None]:
    return available("integration's database")


class Store:
    """Keeps what integration found out; every failure of the database is `Unavailable`."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str, size_max: int) -> "Store":
        """Open the pool."""
        async with _available():
            return cls(await open_pool(url, size_max=size_max))

    async def close(self) -> None:
        """Close the pool."""
        await close_pool(self._pool)

    async def ping(self) -> None:
        """Raise `Unavailable` when the database or its tables are not there."""
        await self._fetch("select 1 from verdicts limit 1")

    async def verdict(self, key: Key) -> KeptVerdict | None:
        """Return the verdict of a tree, if it was judged before."""
        rows = await self._fetch(
            "select verdict, detail, flaky, output from verdicts"
            " where tree = $1 and definition = $2 and toolchain = $3",
            key.tree,
            key.definition,
            key.toolchain,
        )
        return KeptVerdict(**dict(rows[0])) if rows else None

    async def keep_verdict(self, key: Key, gate: str, kept: KeptVerdict) -> None:
        """Keep a verdict; the first one of a tree stands."""
        await self._fetch(
            _KEEP_VERDICT,
            *(key.tree, key.definition, key.toolchain),
            *(gate, kept.verdict, kept.detail, kept.flaky, kept.output),
        )

    async def keep_output(self, content: bytes) -> str:
        """Keep what a command printed and return its hash."""
        digest = hashlib.sha256(content).hexdigest()
        await self._fetch(_KEEP_OUTPUT, digest, zlib.compress(content))
        return digest

    async def output(self, digest: str) -> bytes | None:
        """Return what a command printed; None when it is unknown or was dropped by age."""
        rows = await self._fetch("select content from outputs where sha256 = $1", digest)
        return zlib.decompress(rows[0]["content"]) if rows else None

    async def keep_proof(self, theater_id: str, proof: Proof) -> None:
        """Keep how a gate's proof went, in place of the one before."""
        await self._fetch(
            _KEEP_PROOF,
            *(theater_id, proof.gate, proof.definition, proof.toolchain),
            *(proof.state, proof.detail, proof.output, proof.commit_sha),
        )

    async def proofs(self, theater_id: str) -> dict[str, Proof]:
        """Return the newest proof of each gate of a theater."""
        rows = await self._fetch(
            "select gate, definition, toolchain, state, detail, output, commit_sha, tried_at"
            " from proofs where theater_id = $1",
            theater_id,
        )
        return {row["gate"]: Proof(**dict(row)) for row in rows}

    async def decide(
        self, order_id: str, attempt: int, commit_sha: str, *, approved: bool, decided_by: str, note: str
    ) -> None:
        """Record a decision; the first one stands."""
        await self._fetch(_DECIDE, order_id, attempt, commit_sha, approved, decided_by, note)

    async def approval(self, order_id: str, attempt: int, commit_sha: str) -> Approval | None:
        """Return what was decided about one result of an order."""
        rows = await self._fetch(
            "select approved, decided_by, note, decided_at from approvals"
            " where order_id = $1 and attempt = $2 and commit_sha = $3",
            *(order_id, attempt, commit_sha),
        )
        return Approval(**dict(rows[0])) if rows else None

    async def note_report(
        self, order_id: str, attempt: int, profile: str, model: str, kinds: Collection[str]
    ) -> None:
        """Count a report once an attempt, with the kinds of its claims that were not so."""
        await self._fetch(_NOTE, order_id, attempt, profile, model, sorted(kinds))

    async def figures(self) -> list[Figure]:
        """Return, for each profile and model, how many reports were judged and what was wrong with them."""
        kinds: dict[tuple[str, str], dict[str, int]] = {}
        for row in await self._fetch(_KINDS):
            kinds.setdefault((row["profile"], row["model"]), {})[row["kind"]] = row["times"]
        return [
            Figure(**dict(row), kinds=kinds.get((row["profile"], row["model"]), {}))
            for row in await self._fetch(_FIGURES)
        ]

    async def forget(self, before: datetime) -> None:
        """Drop verdicts and outputs older than this."""
        await self._fetch("delete from verdicts where judged_at < $1", before)
        await self._fetch(
            "delete from outputs where kept_at < $1"
            " and not exists (select 1 from proofs where proofs.output = outputs.sha256)",
            before,
        )

    async def _fetch(self, sql: str, *values: Any) -> list[Any]:
        async with _available(), self._pool.acquire(timeout=_ANSWER_SECONDS) as connection:
            return await connection.fetch(sql, *values, timeout=_ANSWER_SECONDS)
