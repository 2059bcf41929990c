"""Worktrees beside those that git makes: what lies in them, their trees and their indexes."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

from ironclaw_git import Person, Repository, add_worktree, commit_all
from ironclaw_git.checkout import worktree_layout
from ironclaw_git.layout import Layout
from ironclaw_git.populate import populate
from ironclaw_git.snapshot import Staged, with_snapshot

from .conftest import IDENTITY

UNIT = Person("Unit 7", "unit-7@fleet.example")
Content = tuple[str, bytes]


def said(place: Path, *args: str, env: dict[str, str] | None = None) -> str:
    """git as anyone has it."""
    done = subprocess.run(
        ["git", *args],
        cwd=place,
        env={**os.environ, **IDENTITY, **(env or {})},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return os.fsdecode(done.stdout)


def put(root: Path, path: str, content: Content | None) -> None:
    """Make what is at a path this, whatever was there or stands in the way."""
    place = root / path
    for way in (*reversed(place.relative_to(root).parents), Path(path)):
        at = root / way
        if way != Path() and (at.is_symlink() or at.is_file()):
            at.unlink()
    if place.is_dir():
        shutil.rmtree(place)
    if content is None:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    kind, data = content
    if kind == "link":
        place.symlink_to(os.fsdecode(data) or "nowhere")
        return
    place.write_bytes(data)
    place.chmod(0o755 if kind == "program" else 0o644)


def lies(root: Path) -> dict[str, tuple[int, bytes]]:
    """What lies in a worktree: each file and link with its mode and content, each folder with its mode."""
    found: dict[str, tuple[int, bytes]] = {}
    for place in root.rglob("*"):
        name, mode = str(place.relative_to(root)), place.lstat().st_mode
        if name != ".git":
            data = os.fsencode(place.readlink()) if place.is_symlink() else b""
            found[name] = (mode, place.read_bytes() if stat.S_ISREG(mode) else data)
    return found


def tree_by_git(worktree: Path, scratch: Path) -> str:
    """The tree that `git add -A` makes of a worktree from the index as it is; leaves that alone."""
    own = Path(said(worktree, "rev-parse", "--absolute-git-dir").strip()) / "index"
    index = scratch / f"index-{os.urandom(4).hex()}"
    shutil.copyfile(own, index)
    said(worktree, "add", "-A", env={"GIT_INDEX_FILE": str(index)})
    return said(worktree, "write-tree", env={"GIT_INDEX_FILE": str(index)}).strip()


async def snapshot(layout: Layout) -> Staged | None:
    """Stage a worktree in process, without a commit."""
    return await with_snapshot(layout, lambda _, staged: staged)


def require_true_index(worktree: Path) -> None:
    assert said(worktree, "status", "--porcelain") == ""
    # Without refreshing, so by how the files look alone: none would have to be read again.
    assert said(worktree, "diff-files", "--name-only") == ""
    said(worktree, "fsck", "--strict", "--no-dangling")


async def commit_in_process(repo: Repository, worktree: Path, scratch: Path) -> str:
    """Commit a worktree and hold the tree to git's; fail unless it was done in process."""
    expected = tree_by_git(worktree, scratch)
    staged = await snapshot(worktree_layout(worktree, repo))
    assert staged is not None
    assert staged.tree == expected
    head = await commit_all(worktree, "Work", UNIT, repo=repo)
    assert await repo.tree_of(head) == expected
    return head


async def require_checked_out_as_by_git(
    repo: Repository, commit: str, scratch: Path, *, in_process: bool
) -> None:
    """Check a commit out in both ways and compare all that lies there, and the index."""
    name = os.urandom(4).hex()
    ours = (await add_worktree(repo, scratch / f"{name}-ours", f"ours-{name}", commit)).path
    theirs = scratch / f"{name}-theirs"
    said(repo.git_dir, "worktree", "add", "-q", "-b", f"theirs-{name}", str(theirs), commit)
    assert lies(ours) == lies(theirs)
    assert said(ours, "ls-files", "--stage", "-z") == said(theirs, "ls-files", "--stage", "-z")
    require_true_index(ours)
    layout = worktree_layout(ours, repo)
    for place in ours.iterdir():
        if place.name != ".git":
            shutil.rmtree(place) if place.is_dir() and not place.is_symlink() else place.unlink()
    assert await populate(layout, commit) is in_process
