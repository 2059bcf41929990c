"""Real git in temporary folders; `raw_git` is git as anyone has it, without our hardening."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from ironclaw_git import Person, Repository, Worktree, add_worktree, commit_all, order_branch

RawGit = Callable[..., str]
AddOrder = Callable[..., Awaitable[tuple[Worktree, str]]]

IDENTITY = {
    "GIT_AUTHOR_NAME": "Someone",
    "GIT_AUTHOR_EMAIL": "someone@example.org",
    "GIT_COMMITTER_NAME": "Someone",
    "GIT_COMMITTER_EMAIL": "someone@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


@pytest.fixture
def raw_git() -> RawGit:
    def run(cwd: Path, *args: str, check: bool = True) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=cwd,
            env={**os.environ, **IDENTITY},
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"git {args}: {done.stderr}")
        return done.stdout.strip()

    return run


@pytest.fixture
def unit() -> Person:
    return Person("Unit 7", "unit-7@fleet.example")


@pytest.fixture
async def repo(tmp_path: Path) -> Repository:
    return await Repository.create(tmp_path / "vault" / "theater.git")


@pytest.fixture
def add_order(repo: Repository, tmp_path: Path, unit: Person) -> AddOrder:
    """Make an order's worktree with these files committed; return it and its head."""

    async def add(order_id: str, files: dict[str, str], base: str | None = None) -> tuple[Worktree, str]:
        base = base or await repo.mainline_head()
        worktree = await add_worktree(
            repo, tmp_path / "worktrees" / order_id, order_branch(order_id, 1), base
        )
        for name, text in files.items():
            place = worktree.path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return worktree, await commit_all(worktree.path, f"Work of {order_id}", unit, repo=repo)

    return add


@pytest.fixture
def checkout(tmp_path: Path, raw_git: RawGit) -> Path:
    """A user's own repository with a checkout of main and one commit."""
    root = tmp_path / "users-own"
    root.mkdir()
    raw_git(root, "init", "-q", "-b", "main")
    (root / "README.md").write_text("one\n")
    (root / ".gitignore").write_text("*.log\n")
    raw_git(root, "add", "-A")
    raw_git(root, "commit", "-q", "-m", "Begin")
    return root


_BAD_PATHS = [
    "", "/", "/etc/passwd", "//etc", "..", "../x", "a/..", "a/../..", "a/../../etc/passwd", "./a", "a/./b", ".",
    "a//b", "a/", "~", "~root/x", "-", "--output=/tmp/x", "-rf", "a\0b", "a\nb", "a\rb", "a\tb", "a\x1bb", "a\x7fb",
    "a\\b", "..\\x", "C:\\x", ".git", ".git/config", "a/.git", "a/.git/hooks/post-commit", ".GIT", ".Git/x", ".gIt",
    "git~1", "GIT~1", "a/git~2/x", ".git ", ".git.", ".git . .", ".git/.", ".git::$INDEX_ALLOCATION", ".git:x", ".git:",
    ".g\u200cit", ".git\u200c", "\u200d.git", ".gi\ufefft", ".g\u202ait", ".git\u200f/config", "\u206a.git", ".\uff47it",
    "\uff0egit", ".\u0261it\u200b", "a\u2028b", "a\u2029b", "a\u202eb", "a\ud800b", "\udcff", "a" * 256, "a/" * 2100 + "b",
    "x\u2066y", "\u0085", "a\u009fb", ".gıt\u200c", "..\u200b/x", ".\u200b./x",
]  # fmt: skip
_BAD_NAMES = [
    "", "-", "--", "--output=/tmp/x", "--upload-pack=touch x", "-c", "-oProxyCommand=x", "..", "../x", "a..b", "a b",
    "a\0", "a\n", "\na", "a\r", "a\t", "a/../b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.lock/b", "a/b.lock", "a.",
    "a/.", "@", "@{-1}", "a@{1}", "a^", "a~1", "a:b", ":/x", "a?b", "a*", "[a]", "a\\b", "a\x7f", "\u202ea", "ａ", "é",
    "a\u200b", "HEAD", "head", "FETCH_HEAD", "ORIG_HEAD", "refs/heads/main", "REFS/heads/x", "a" * 201, "0" * 40, "A" * 40,
    "$(touch x)", "`touch x`", "a;b", "a|b", "a&b", "a>b", "a'b", 'a"b', "%00", "a/-b", "main^{tree}", "main..x", "stash",
    "\ud800", "a\ud800", "^main", "!main", "+main", "_a", "=a", "a=b", "#a", "(a)",
]  # fmt: skip
_WRAPPERS = ("{}", "x/{}", "{}/x", "-{}", "../{}", "{}\n", "\0{}", "/{}")


@pytest.fixture
def hostile_paths() -> list[str]:
    """Paths that no function may accept, at least 250."""
    spun = {wrap.format(path) for path in _BAD_PATHS for wrap in ("{}", "../{}", "{}\n", "/{}", "-{}")}
    return sorted(spun | {f"a/{path}" for path in _BAD_PATHS if path[:1] not in {"~", "-"}})


@pytest.fixture
def hostile_names() -> list[str]:
    """Branch names that no function may accept, at least 250."""
    kept = {
        wrap.format(name) for name in _BAD_NAMES for wrap in ("{}", "-{}", "../{}", "{}\n", "\0{}", "/{}")
    }
    return sorted(kept)


@pytest.fixture
def fresh() -> Iterator[Callable[[], tuple[Repository, Path]]]:
    """Makes a repository, and a folder for scratch, for each example."""
    with tempfile.TemporaryDirectory(prefix="ironclaw-git-") as folder:

        def make() -> tuple[Repository, Path]:
            scratch = Path(tempfile.mkdtemp(dir=folder))
            return asyncio.run(Repository.create(scratch / "theater.git")), scratch

        yield make
