"""What libgit2 and our own trees answer is what git answers, on histories nobody thought of."""

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ironclaw_git import Conflict, Person, Repository, StaleRef, UnsafeConfig, add_worktree, foresee, status
from ironclaw_git.changes import find_changes, find_no_changes
from ironclaw_git.checkout import worktree_layout
from ironclaw_git.merge import swap_ref
from ironclaw_git.reading import Reading
from ironclaw_git.repository import commit_tree
from ironclaw_git.trees import commit_changed

NAMES = ("a", "b", "d/a", "d/b", "d/e/a", "x.md", "order.json")
Files = dict[str, bytes | None]
files = st.dictionaries(
    st.sampled_from(NAMES), st.one_of(st.none(), st.sampled_from((b"1\n", b"2\n", b"3\nmore\n"))), max_size=4
)
beginnings = st.dictionaries(st.sampled_from(NAMES), st.sampled_from((b"1\n", b"2\n")), max_size=6)
hypothesis_settings = settings(
    max_examples=200 if os.environ.get("IRONCLAW_TRUST_FULL") else 25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def fresh() -> Iterator[Callable[[], Repository]]:
    """Makes a repository for each example."""
    with tempfile.TemporaryDirectory(prefix="ironclaw-native-") as folder:
        made = iter(range(10_000))
        yield lambda: asyncio.run(Repository.create(Path(folder) / f"{next(made)}.git"))


def said(repo: Repository, *args: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", repo.git_dir, *args], capture_output=True, check=check)


async def changed(repo: Repository, parent: str, change: Files) -> str:
    """Return a commit with a change; a file that is to be a folder's name too, or is gone already, is left out."""
    there = {entry.path for entry in await repo.list_files(parent)}
    possible = {path: data for path, data in change.items() if data is not None or path in there}
    return await commit_changed(repo, parent, possible, "change") if possible else parent


@pytest.mark.trust
@hypothesis_settings
@given(beginning=beginnings, ours=files, theirs=files)
@example(beginning={"a": b"2\n"}, ours={"a": None, "order.json": b"2\n"}, theirs={"a": None})
def test_given_any_two_sides_when_merged_then_the_tree_is_the_one_that_git_makes(
    fresh: Callable[[], Repository], beginning: Files, ours: Files, theirs: Files
) -> None:
    async def scenario() -> None:
        repo = fresh_repo
        base = await changed(repo, await repo.mainline_head(), beginning)
        # Without operational files, which a merge leaves aside, and git takes for the renames of others.
        mainline, branch = [
            await changed(repo, base, {p: d for p, d in side.items() if p != "order.json"})
            for side in (ours, theirs)
        ]
        merged = await foresee(repo, mainline, branch)
        theirs_alone = said(
            repo, "merge-tree", "--write-tree", "--no-messages", mainline, branch, check=False
        )
        if isinstance(merged, Conflict):
            assert theirs_alone.returncode == 1
        else:
            assert merged == theirs_alone.stdout.decode().strip()

    fresh_repo = fresh()
    asyncio.run(scenario())


@pytest.mark.trust
@hypothesis_settings
@given(beginning=beginnings, change=files)
def test_given_any_change_when_its_paths_are_asked_for_then_they_are_those_of_git(
    fresh: Callable[[], Repository], beginning: Files, change: Files
) -> None:
    async def scenario() -> None:
        base = await changed(repo, await repo.mainline_head(), beginning)
        head = await changed(repo, base, change)
        found = await repo.changed_paths(base, head)
        raw = said(repo, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", base, head).stdout
        fields = raw.decode().split("\0")
        expected = [
            (path, about.split()[4], about.split()[1], about.split()[3])
            for about, path in zip(fields[0::2], fields[1::2], strict=False)
        ]
        assert [(one.path, one.status, one.mode, one.sha) for one in found] == expected
        brought = await repo.reading(
            partial(Reading.new_blobs, commit=head, known=base, file_bytes_max=100, total_bytes_max=10_000)
        )
        listed = said(repo, "rev-list", "--objects", "--no-object-names", head, f"^{base}").stdout.split()
        blobs = {said(repo, "cat-file", "blob", sha.decode(), check=False).stdout for sha in listed}
        assert {data for _, data in brought.read} >= blobs - {b""}

    repo = fresh()
    asyncio.run(scenario())


async def test_given_who_when_and_what_when_a_commit_is_stored_then_it_is_the_one_that_git_would_store(
    repo: Repository,
) -> None:
    head = await repo.mainline_head()
    tree = await repo.tree_of(head)
    when = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    author = Person("Ünit 7.", "unit@localhost")
    made = await commit_tree(repo.layout, tree, (head,), "Title\n\nBody\n\n", author, when=when)
    stamp = f"@{int(when.timestamp())} +0000"
    variables = {
        "GIT_AUTHOR_NAME": author.name,
        "GIT_AUTHOR_EMAIL": author.email,
        "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_NAME": "IronClaw",
        "GIT_COMMITTER_EMAIL": "ironclaw@localhost",
        "GIT_COMMITTER_DATE": stamp,
    }
    gits = subprocess.run(
        ["git", "-C", repo.git_dir, "commit-tree", "-p", head, "-F", "-", tree],
        input=b"Title\n\nBody\n",
        env=variables,
        capture_output=True,
        check=True,
    )
    assert made == gits.stdout.decode().strip()


async def test_given_one_ref_when_many_move_it_at_once_then_one_does_and_the_others_are_told(
    repo: Repository,
) -> None:
    head = await repo.mainline_head()
    commits = [await commit_changed(repo, head, {"a": str(n).encode()}, "change") for n in range(8)]
    answers = await asyncio.gather(
        *(swap_ref(repo, repo.mainline_ref, commit, head, "race") for commit in commits),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers if answer is not None] == [StaleRef] * 7
    assert await repo.mainline_head() == commits[answers.index(None)]


async def test_given_a_lock_that_is_let_go_when_a_ref_moves_then_it_was_waited_for(repo: Repository) -> None:
    head = await repo.mainline_head()
    commit = await commit_changed(repo, head, {"a": b"1"}, "change")
    lock = repo.git_dir / "refs/heads/main.lock"
    lock.touch()
    moving = asyncio.create_task(swap_ref(repo, repo.mainline_ref, commit, head, "wait"))
    await asyncio.sleep(0.05)
    assert not moving.done()
    lock.unlink()
    await moving
    assert await repo.mainline_head() == commit


async def test_given_rewritten_history_when_read_then_it_is_refused(repo: Repository) -> None:
    head = await repo.mainline_head()
    (repo.git_dir / "info").mkdir(exist_ok=True)
    (repo.git_dir / "info/grafts").write_text(f"{head}\n")
    with pytest.raises(UnsafeConfig, match="info/grafts"):
        await repo.mainline_head()


@pytest.mark.parametrize(
    "disturb",
    [
        lambda path: (path / "new").write_text("x"),
        lambda path: (path / ".gitignore").write_text("*\n"),
        lambda path: (path / "kept").write_text("other"),
        lambda path: (path / "kept").unlink(),
        lambda path: (path / "kept").chmod(0o755),
        lambda path: ((path / "nested/.git").mkdir(parents=True), (path / "nested/file").write_text("x")),
    ],
)
async def test_given_anything_but_tracked_unchanged_files_when_looked_at_then_git_is_asked(
    repo: Repository, tmp_path: Path, disturb: Callable[[Path], object]
) -> None:
    base = await commit_changed(repo, await repo.mainline_head(), {"kept": b"1", "d/kept": b"2"}, "files")
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", base)
    layout = worktree_layout(worktree.path, repo)
    assert await find_no_changes(layout) == await find_changes(layout)
    assert (await status(worktree.path, repo)).clean
    disturb(worktree.path)
    assert await find_no_changes(layout) is None
