"""A gate runner on real PostgreSQL, git and sandbox."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ironclaw_contracts.enums import Service
from ironclaw_git import IRONCLAW, Repository, add_worktree, commit_all
from ironclaw_integration.runner import GateRunner, Tree
from ironclaw_integration.scratch import Scratch
from ironclaw_integration.store import Store
from ironclaw_integration.toolchain import Toolchain
from ironclaw_sandbox import Sandbox, SandboxRefused, open_sandbox
from tests.support.databases import new_database


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[Store]:
    async with new_database(postgres_url, Service.INTEGRATION) as url:
        opened = await Store.open(url, 4)
        yield opened
        await opened.close()


@pytest.fixture
async def sandbox() -> Sandbox:
    try:
        return (await open_sandbox(None))[0]
    except SandboxRefused as refused:
        pytest.skip(refused.message)


@pytest.fixture
async def runner(store: Store, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[GateRunner]:
    scratch = Scratch.open(tmp_path / "scratch")
    yield GateRunner(store, scratch, sandbox, "", Toolchain((Path(sys.prefix),)), 2)
    assert not list(scratch._folder.glob("tree-*")), "a tree under test was left behind"
    scratch.close()


class Work:
    """A repository, and commits on it."""

    def __init__(self, repository: Repository, folder: Path) -> None:
        self.repository = repository
        self._folder = folder
        self._number = 0

    async def tree(self, files: dict[str, str]) -> Tree:
        """Commit files on the mainline's head."""
        self._number += 1
        head = await self.repository.mainline_head()
        place = self._folder / str(self._number)
        worktree = await add_worktree(self.repository, place, f"work/{self._number}", head)
        for name, text in files.items():
            (worktree.path / name).parent.mkdir(parents=True, exist_ok=True)
            (worktree.path / name).write_text(text)
        commit = await commit_all(worktree.path, "Work", IRONCLAW, repo=self.repository)
        return Tree(commit, await self.repository.tree_of(commit))


@pytest.fixture
async def work(tmp_path: Path) -> Work:
    return Work(await Repository.create(tmp_path / "theater.git"), tmp_path / "worktrees")
