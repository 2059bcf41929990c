"""Worktrees of which folders are left out: git sees no change in that, and commits keep what was left out."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ironclaw_contracts.material import Touched
from ironclaw_git import (
    Repository,
    WouldLoseWork,
    add_worktree,
    archive,
    commit_all,
    remove_worktree,
    salvage,
    status,
)
from ironclaw_git.checkout import follow_branch, worktree_layout
from ironclaw_git.scan import find_unchanged
from ironclaw_git.sparse import encode_patterns, folders_of, is_laid_out, parse_patterns, read_folders
from ironclaw_git.trees import commit_changed

from .comparing import UNIT, lies, put, said, snapshot
from .conftest import RawGit

FILES = {
    "README": b"root\n",
    "docs/guide.md": b"guide\n",
    "docs/deep/er/page.md": b"page\n",
    "outputs/r1/draft.md": b"one\n",
    "outputs/r2/draft.md": b"two\n",
    "outputs/index": b"index\n",
    "s[o]*rt?ed/a": b"globs\n",
    "ü/ß/file": b"utf-8\n",
}
OUTPUT = "outputs/r3/draft.md"
WRITING = Touched((), (OUTPUT,))
ASKED = ("-c", "core.sparseCheckout=true", "-c", "core.sparseCheckoutCone=true", "-c", "index.sparse=true")


@pytest.fixture
async def base(repo: Repository) -> str:
    return await commit_changed(repo, await repo.mainline_head(), FILES, "files")


def require_as_git_has_it(worktree: Path) -> None:
    """git finds nothing changed, whether it is told of the sparse checkout or not."""
    assert said(worktree, "status", "--porcelain") == ""
    assert said(worktree, *ASKED, "status", "--porcelain") == ""
    said(worktree, "fsck", "--strict", "--no-dangling")


async def test_given_the_files_to_be_read_when_added_then_only_their_folders_are_laid_out(
    repo: Repository, tmp_path: Path, base: str
) -> None:
    touched = Touched(("docs/deep/er/page.md", "s[o]*rt?ed/a"), (OUTPUT,))
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", base, touched=touched)
    files = {name for name, (_, data) in lies(worktree.path).items() if data}
    assert files == {"README", "docs/guide.md", "docs/deep/er/page.md", "s[o]*rt?ed/a"}
    assert (await status(worktree.path, repo)).clean
    assert await find_unchanged(worktree_layout(worktree.path, repo)) is not None
    require_as_git_has_it(worktree.path)
    before = lies(worktree.path)
    assert said(worktree.path, *ASKED, "sparse-checkout", "reapply") == ""  # git would leave out the same
    assert lies(worktree.path) == before
    listed = said(worktree.path, "ls-files").splitlines()
    assert len(listed) == len(FILES)


_paths = st.sampled_from((*FILES, OUTPUT, "docs/new/x", "aar.json"))
_contents = st.one_of(st.none(), st.sampled_from((("file", b"1\n"), ("program", b"2\n"), ("file", b""))))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reads=st.lists(_paths, max_size=3),
    edits=st.dictionaries(_paths, _contents, min_size=1, max_size=4),
)
def test_given_any_edits_when_committed_then_the_tree_is_that_of_a_whole_worktree(
    fresh: Callable[[], tuple[Repository, Path]],
    reads: list[str],
    edits: dict[str, tuple[str, bytes] | None],
) -> None:
    async def scenario() -> None:
        base = await commit_changed(repo, await repo.mainline_head(), FILES, "files")
        whole = (await add_worktree(repo, scratch / "whole", "whole", base)).path
        touched = Touched(tuple(reads), tuple(edits))
        part = (await add_worktree(repo, scratch / "part", "part", base, touched=touched)).path
        folders = read_folders(worktree_layout(part, repo))
        assert folders is not None
        for path, content in edits.items():
            if content is None and not is_laid_out(folders, path.encode()):
                continue  # what is not there cannot be removed
            put(whole, path, content)
            put(part, path, content)
        changed = (await status(whole, repo)).changed
        assert (await status(part, repo)).changed == changed
        salvaged = await salvage(repo, part, "part", 1)
        head = await commit_all(whole, "Work", UNIT, repo=repo)
        tree = await repo.tree_of(head)
        assert salvaged is None or await repo.tree_of(salvaged) == tree
        assert (salvaged is None) == (not changed)
        assert await snapshot(worktree_layout(part, repo)) is not None
        assert await repo.tree_of(await commit_all(part, "Work", UNIT, repo=repo)) == tree
        assert (await status(part, repo)).clean
        assert said(part, "status", "--porcelain") == ""

    repo, scratch = fresh()
    asyncio.run(scenario())


async def test_given_ignore_rules_at_the_root_when_committed_by_git_then_what_was_left_out_is_kept(
    repo: Repository, tmp_path: Path
) -> None:
    files = {**FILES, ".gitignore": b"*.log\n"}
    base = await commit_changed(repo, await repo.mainline_head(), files, "files")
    part = (await add_worktree(repo, tmp_path / "w", "order_o1", base, touched=WRITING)).path
    assert not (part / "docs").exists()
    assert await find_unchanged(worktree_layout(part, repo)) is not None
    put(part, OUTPUT, ("file", b"three\n"))
    put(part, "outputs/r3/noise.log", ("file", b"noise\n"))
    head = await commit_all(part, "Work", UNIT, repo=repo)
    assert {entry.path for entry in await repo.list_files(head, None, 100)} == {*files, OUTPUT}
    (part / "outputs/r3/noise.log").unlink()
    assert await find_unchanged(worktree_layout(part, repo)) is not None
    require_as_git_has_it(part)


async def test_given_a_link_among_what_is_laid_out_when_added_then_nothing_is_left_out(
    repo: Repository, tmp_path: Path, base: str
) -> None:
    whole = await add_worktree(repo, tmp_path / "whole", "whole", base)
    put(whole.path, "manual", ("link", b"docs"))
    linked = await commit_all(whole.path, "A link", UNIT, repo=repo)
    part = await add_worktree(
        repo, tmp_path / "part", "part", linked, touched=Touched(("manual/guide.md",), ())
    )
    assert lies(part.path) == lies(whole.path)
    assert read_folders(worktree_layout(part.path, repo)) is None


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a\nb/c", ".git/config"])
async def test_given_a_path_that_is_none_when_added_then_nothing_is_left_out(
    repo: Repository, tmp_path: Path, base: str, path: str
) -> None:
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", base, touched=Touched((path,), ()))
    assert set(FILES) <= set(lies(worktree.path))


async def test_given_uncommitted_work_when_removed_then_it_is_refused_and_the_archive_names_what_is_gone(
    repo: Repository, tmp_path: Path, base: str
) -> None:
    part = (
        await add_worktree(repo, tmp_path / "w", "order_o1", base, touched=Touched(("docs/guide.md",), ()))
    ).path
    (part / "docs/guide.md").unlink()
    put(part, "docs/new", ("file", b"new\n"))
    with pytest.raises(WouldLoseWork, match="2 changed files"):
        await remove_worktree(repo, part, preserved=False)
    kept = await archive(repo, part, "order_o1", tmp_path / "archive", "o1", 1)
    assert kept.deleted == ["docs/guide.md"]
    await remove_worktree(repo, part, preserved=True)
    again = await add_worktree(repo, part, "order_o1", base)
    assert set(FILES) <= set(lies(again.path))


async def test_given_a_branch_moved_elsewhere_when_followed_then_the_rest_stays_left_out(
    repo: Repository, tmp_path: Path, base: str
) -> None:
    part = (await add_worktree(repo, tmp_path / "w", "order_o1", base, touched=WRITING)).path
    changes = {OUTPUT: b"three\n", "docs/guide.md": b"changed\n"}
    head = await commit_changed(repo, base, changes, "elsewhere")
    await repo.git("update-ref", "refs/heads/order_o1", head, base)
    await follow_branch(part, head, repo)
    assert not (part / "docs").exists()
    assert (await status(part, repo)).clean
    assert await repo.tree_of(await commit_all(part, "Nothing", UNIT, repo=repo)) == await repo.tree_of(head)


async def test_given_an_index_lost_when_salvaged_then_what_was_left_out_is_not_taken_for_deleted(
    repo: Repository, tmp_path: Path, base: str
) -> None:
    part = (await add_worktree(repo, tmp_path / "w", "order_o1", base, touched=WRITING)).path
    put(part, OUTPUT, ("file", b"three\n"))
    (worktree_layout(part, repo).git_dir / "index").write_bytes(b"torn")
    kept = await salvage(repo, part, "o1", 1)
    assert kept is not None
    assert {entry.path for entry in await repo.list_files(kept, None, 100)} == {*FILES, OUTPUT}


async def test_given_somebodys_own_sparse_checkout_when_asked_then_it_is_not_taken_for_ours(
    repo: Repository, tmp_path: Path, base: str, raw_git: RawGit
) -> None:
    theirs = tmp_path / "theirs"
    raw_git(repo.git_dir, "worktree", "add", "-q", "-b", "theirs", str(theirs), base)
    raw_git(theirs, "sparse-checkout", "set", "docs")
    assert read_folders(worktree_layout(theirs, repo)) is None
    raw_git(theirs, "sparse-checkout", "disable")
    shutil.rmtree(theirs / "docs")
    assert (await status(theirs, repo)).changed == ["docs/deep/er/page.md", "docs/guide.md"]


def test_given_any_folders_when_written_then_they_are_read_as_they_were() -> None:
    folders = folders_of(FILES)
    assert folders is not None
    assert parse_patterns(encode_patterns(folders)) == folders
    assert parse_patterns(b"/*\n!/*/\n") is None
