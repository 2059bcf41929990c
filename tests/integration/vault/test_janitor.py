"""Retention on a real repository: what may go goes, what is not merged stays."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

import ironclaw_git
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.errors import NotFound
from ironclaw_contracts.events import NewEvent
from ironclaw_contracts.snapshots import OrderSnapshot, OrderView
from ironclaw_git import Merged, Person
from ironclaw_vault.janitor import Janitor, Retention
from ironclaw_vault.theaters import Theaters
from ironclaw_vault.worktrees import Worktrees
from tests.unit.ledger.history import History

UNIT = Person("unit", "unit@fleet.example")


class Orders:
    """The ledger as the janitor sees it: snapshots in, events out."""

    def __init__(self) -> None:
        self.known: dict[str, OrderSnapshot] = {}
        self.told: list[NewEvent] = []

    def put(
        self, order_id: str, phase: OrderPhase, ended_ago: float, merge_commit: str | None = None
    ) -> None:
        made = History()
        made.run()
        since = datetime.now(UTC) - timedelta(seconds=ended_ago)
        order = made.create(order_id)
        self.known[order_id] = replace(order, phase=phase, phase_since=since, merge_commit=merge_commit)

    async def order(self, order_id: str) -> OrderView:
        if order_id not in self.known:
            raise NotFound(order_id)
        return OrderView(self.known[order_id], None)

    async def append_all(self, events: list[NewEvent]) -> None:
        self.told.extend(events)


@pytest.fixture
async def theaters(tmp_path: Path) -> Theaters:
    made = Theaters(tmp_path / "vault", [])
    await made.open(TheaterRequest(theater_id="t"))
    return made


async def work(theaters: Theaters, order_id: str, *, dirty: bool = False) -> tuple[Path, str]:
    """Make an attempt's worktree with a commit, and loose work if asked."""
    repository = await theaters.repository("t")
    path = theaters.places("t").worktree(order_id, 1)
    await ironclaw_git.add_worktree(
        repository, path, ironclaw_git.order_branch(order_id, 1), await repository.mainline_head()
    )
    (path / f"{order_id}.txt").write_text("work\n")
    head = await ironclaw_git.commit_all(path, "work", UNIT)
    if dirty:
        (path / "loose.txt").write_text("loose\n")
    return path, head


def janitor(theaters: Theaters, orders: Orders, archive_days: int = 0) -> Janitor:
    worktrees = Worktrees(theaters, orders)  # type: ignore[arg-type]
    return Janitor(theaters, worktrees, orders, Retention(60, archive_days))  # type: ignore[arg-type]


async def test_given_worktrees_of_all_kinds_when_tidied_then_only_ended_ones_go_and_their_work_is_kept(
    theaters: Theaters,
) -> None:
    orders = Orders()
    paths: dict[str, tuple[Path, str]] = {}
    for name, dirty in (("failed", True), ("running", True), ("fresh", False), ("nobodys", True)):
        paths[name] = await work(theaters, name, dirty=dirty)
    orders.put("failed", OrderPhase.FAILED, 61)
    orders.put("running", OrderPhase.RUNNING, 9_999)
    orders.put("fresh", OrderPhase.FAILED, 10)
    await janitor(theaters, orders).tidy_all()
    assert {name: path.exists() for name, (path, _) in paths.items()} == {
        "failed": False,
        "running": True,
        "fresh": True,
        "nobodys": True,
    }
    repository = await theaters.repository("t")
    kept = (await ironclaw_git.kept_refs(repository, "salvage"))[0]
    assert (kept.order_id, kept.merged) == ("failed", False)
    assert await repository.read_file(kept.commit, "loose.txt") == b"loose\n"
    assert await repository.is_ancestor(paths["failed"][1], kept.commit)
    assert "refs/heads/order_failed" not in await repository.refs()
    assert {e.type for e in orders.told} == {"WORKTREE_ARCHIVED", "WORKTREE_REMOVED"}


async def test_given_old_archives_when_tidied_then_merged_refs_and_files_go_and_unmerged_work_stays(
    theaters: Theaters,
) -> None:
    orders, repository = Orders(), await theaters.repository("t")
    _, merged_head = await work(theaters, "merged")
    await work(theaters, "lost", dirty=True)
    base = await repository.mainline_head()
    candidate = await ironclaw_git.merge(
        repository, base, merged_head, "Merge", ironclaw_git.IRONCLAW, when=datetime(2020, 1, 1, tzinfo=UTC)
    )
    assert isinstance(candidate, Merged)
    await ironclaw_git.promote(repository, candidate.commit, base)
    orders.put("merged", OrderPhase.INTEGRATED, 61, candidate.commit)
    orders.put("lost", OrderPhase.FAILED, 61)
    keeper = janitor(theaters, orders, archive_days=30)
    await keeper.tidy_all()
    archive = theaters.places("t").archive
    files = sorted(path.name for path in archive.iterdir())
    assert files == ["lost.1.bundle", "lost.1.sha256", "lost.1.tar"]
    assert [k.order_id for k in await ironclaw_git.kept_refs(repository, "archive")] == ["merged"]
    old = time.time() - 31 * 86_400
    for path in archive.iterdir():
        os.utime(path, (old, old))
    await janitor(theaters, orders, archive_days=30).tidy_all()
    assert list(archive.iterdir()) == []
    await janitor(theaters, orders, archive_days=0).tidy_all()
    assert await ironclaw_git.kept_refs(repository, "archive") == []
    assert [k.order_id for k in await ironclaw_git.kept_refs(repository, "salvage")] == ["lost"]
