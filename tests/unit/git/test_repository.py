"""Making and opening a repository, and reading from it."""

import asyncio
from datetime import UTC, timedelta
from pathlib import Path

import psutil
import pytest

from ironclaw_git import (
    ChangedPath,
    NotARepository,
    Occupied,
    OutputTooLarge,
    Person,
    Repository,
    UnknownObject,
    UnsafeConfig,
    UnsafeName,
    UnsafePath,
)
from ironclaw_git.native import opened
from ironclaw_git.objects import encode_commit, encode_tree, object_id, parse_tree
from ironclaw_git.odb import write

from .conftest import AddOrder, RawGit


async def test_given_nothing_when_created_then_it_is_bare_with_one_empty_commit(
    repo: Repository, raw_git: RawGit
) -> None:
    head = await repo.mainline_head()
    info = await repo.commit_info(head)
    assert raw_git(repo.git_dir, "rev-parse", "--is-bare-repository") == "true"
    assert raw_git(repo.git_dir, "fsck", "--strict") == ""
    assert (info.parents, info.author) == ((), Person("IronClaw", "ironclaw@localhost"))
    assert await repo.list_files(head) == []


async def test_given_something_there_when_created_then_it_is_refused_and_left_alone(
    repo: Repository, tmp_path: Path
) -> None:
    with pytest.raises(Occupied):
        await Repository.create(repo.git_dir)
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(Occupied):
            await Repository.create(path)
    assert (tmp_path / "file").read_text() == "mine"
    assert [entry.name for entry in repo.git_dir.parent.iterdir()] == ["theater.git"]


async def test_given_a_checkout_a_bare_one_or_a_worktree_when_opened_then_the_same_repository_is_found(
    repo: Repository, add_order: AddOrder, checkout: Path
) -> None:
    worktree, _ = await add_order("o1", {"a": "1"})
    assert (await Repository.open(repo.git_dir)).git_dir == repo.git_dir
    assert (await Repository.open(worktree.path)).git_dir == repo.git_dir
    users = await Repository.open(checkout)
    assert (users.work_tree, users.mainline_branch) == (checkout, "main")


async def test_given_no_repository_when_opened_then_nothing_above_is_taken_instead(
    checkout: Path, tmp_path: Path
) -> None:
    (checkout / "sub").mkdir()
    for path in (checkout / "sub", tmp_path / "absent", checkout / "README.md"):
        with pytest.raises(NotARepository):
            await Repository.open(path)
    with pytest.raises(UnknownObject):
        await Repository.open(checkout, "absent")


async def test_given_a_git_file_that_points_elsewhere_when_opened_then_it_is_refused(
    repo: Repository, add_order: AddOrder, tmp_path: Path
) -> None:
    await add_order("o1", {"a": "1"})
    for number, pointer in enumerate(
        [repo.git_dir, repo.git_dir / "worktrees" / "o1", tmp_path, "../../etc"]
    ):
        fake = tmp_path / f"fake{number}"
        fake.mkdir()
        (fake / ".git").write_text(f"gitdir: {pointer}\n")
        with pytest.raises((NotARepository, UnsafePath)):
            await Repository.open(fake)


@pytest.mark.parametrize(
    "line",
    [
        "[include]\n\tpath = /tmp/x",
        '[includeIf "gitdir:/"]\n\tpath = /tmp/x',
        "[core]\n\tworktree = /",
        '[remote "o"]\n\tpromisor = true',
        "[extensions]\n\tpartialClone = o",
    ],
)
async def test_given_configuration_that_cannot_be_answered_when_opened_then_it_is_refused(
    checkout: Path, line: str
) -> None:
    (checkout / ".git" / "config").open("a").write(f"\n{line}\n")
    with pytest.raises(UnsafeConfig, match="configuration has"):
        await Repository.open(checkout)


async def test_given_files_when_listed_then_pattern_and_limit_hold(
    repo: Repository, add_order: AddOrder
) -> None:
    _, head = await add_order("o1", {"a.py": "1", "dir/b.py": "22", "dir/c.md": "333", "zwei ü.txt": "4"})
    files = await repo.list_files(head)
    assert [(file.path, file.size, file.mode) for file in files] == [
        ("a.py", 1, "100644"),
        ("dir/b.py", 2, "100644"),
        ("dir/c.md", 3, "100644"),
        ("zwei ü.txt", 1, "100644"),
    ]
    assert [file.path for file in await repo.list_files(head, "*.py")] == ["a.py", "dir/b.py"]
    assert len(await repo.list_files(head, limit=2)) == 2


async def test_given_a_file_when_read_then_its_bytes_come_bounded(
    repo: Repository, add_order: AddOrder
) -> None:
    worktree, head = await add_order("o1", {"a b.txt": "hello\n", "dir/x": "y"})
    (worktree.path / "big").write_bytes(b"x" * 100_000)
    assert await repo.read_file(head, "a b.txt", 6) == b"hello\n"
    for limit in (5, 0):
        with pytest.raises(OutputTooLarge, match=r"a b\.txt"):
            await repo.read_file(head, "a b.txt", limit)
    with pytest.raises(UnknownObject):
        await repo.read_file(head, "absent")
    with pytest.raises(UnknownObject):
        await repo.read_file("f" * 40, "a b.txt")
    with pytest.raises(Exception, match="is a tree"):
        await repo.read_file(head, "dir")


async def test_given_history_when_asked_then_ancestry_log_diff_and_changes_agree(
    repo: Repository, add_order: AddOrder
) -> None:
    base = await repo.mainline_head()
    worktree, head = await add_order("o1", {"a": "1\n", "b": "2\n"})
    assert await repo.is_ancestor(base, head)
    assert not await repo.is_ancestor(head, base)
    assert await repo.contains_all(head, [base, head])
    assert not await repo.contains_all(base, [base, head])
    with pytest.raises(UnknownObject):
        await repo.contains_all(head, ["e" * 40])
    assert [line.split(" ", 1)[1] for line in await repo.log(head)] == ["Work of o1", "Begin the theater"]
    assert (await repo.log(head, 1, graph=True))[0].startswith("* ")
    changes = await repo.changed_paths(base, head)
    assert [(change.path, change.status, change.mode) for change in changes] == [
        ("a", "A", "100644"),
        ("b", "A", "100644"),
    ]
    assert isinstance(changes[0], ChangedPath)
    whole = await repo.diff(base, head)
    assert "+1" in whole.patch and not whole.truncated
    cut = await repo.diff(base, head, max_bytes=20)
    assert (len(cut.patch), cut.truncated) == (20, True)
    assert await repo.refs("refs/heads") == {"refs/heads/main": base, "refs/heads/order_o1": head}
    assert (
        await repo.resolve("order_o1") == await repo.resolve("refs/heads/order_o1") == worktree.head or head
    )


async def test_given_a_commit_with_a_zone_and_controls_when_read_then_it_is_whole_and_the_log_is_plain(
    checkout: Path, raw_git: RawGit
) -> None:
    raw_git(
        checkout, "-c", "user.name=Zoë", "commit", "-q", "--allow-empty", "--author=Zoë <z@x>",
        "--date=2026-01-02T03:04:05+0530", "-m", "Subject \x1b[31mred\n\nBody\n",
    )  # fmt: skip
    repo = await Repository.open(checkout)
    info = await repo.commit_info(await repo.mainline_head())
    assert info.author == Person("Zoë", "z@x")
    assert info.authored_at.utcoffset() == timedelta(hours=5, minutes=30)
    assert info.authored_at.astimezone(UTC).isoformat() == "2026-01-01T21:34:05+00:00"
    assert info.message.endswith("Body\n")
    assert "\x1b" not in "".join(await repo.log(info.sha))


async def test_given_many_commit_reads_when_done_then_no_process_or_descriptor_is_left(
    repo: Repository,
) -> None:
    head = await repo.mainline_head()
    await repo.commit_info(head)
    process = psutil.Process()
    before = process.num_fds(), len(process.children())
    await asyncio.gather(*(repo.commit_info(head) for _ in range(20)))
    with pytest.raises(UnknownObject):
        await repo.commit_info("d" * 40)
    assert process.num_fds() <= before[0] + 2
    assert len(process.children()) <= before[1]


async def test_given_a_revision_expression_when_resolved_then_it_is_refused(repo: Repository) -> None:
    for revision in ("main^", "main~1", "main@{0}", ":/Begin", "main..main", "--all", "main:", "@", ""):
        with pytest.raises(UnsafeName):
            await repo.resolve(revision)
    with pytest.raises(UnknownObject):
        await repo.resolve("nowhere")


async def test_given_replacement_refs_when_read_then_the_true_history_is_shown(
    checkout: Path, raw_git: RawGit
) -> None:
    true = raw_git(checkout, "rev-parse", "HEAD")
    (checkout / "forged").write_text("x")
    raw_git(checkout, "add", "-A")
    raw_git(checkout, "commit", "-q", "-m", "Forged")
    forged = raw_git(checkout, "rev-parse", "HEAD")
    raw_git(checkout, "reset", "-q", "--hard", true)
    raw_git(checkout, "replace", true, forged)
    assert "forged" in raw_git(checkout, "ls-tree", "--name-only", true)
    repo = await Repository.open(checkout)
    assert [file.path for file in await repo.list_files(true)] == [".gitignore", "README.md"]
    assert (await repo.commit_info(true)).message == "Begin\n"


async def test_given_our_own_pack_when_stored_then_git_finds_the_same_objects(
    repo: Repository, add_order: AddOrder, raw_git: RawGit
) -> None:
    _, head = await add_order("o1", {"a-b": "1", "a/b": "2", "a.b": "3"})
    raw = (await repo.git("cat-file", "tree", head)).stdout
    assert encode_tree(reversed(parse_tree(raw))) == raw
    tree = encode_tree(parse_tree(raw)[:1]) * 1
    big = b"x" * 70_000
    person = Person("A", "b")
    commit = encode_commit(object_id("tree", tree), (head,), b"Aside\n", person, person, 0)
    with opened(repo.git_dir) as repository:
        for kind, data in (("tree", tree), ("commit", commit), ("blob", big)):
            assert write(repository, kind, data) == object_id(kind, data)
    assert raw_git(repo.git_dir, "cat-file", "-s", object_id("blob", big)) == "70000"
    assert raw_git(repo.git_dir, "rev-parse", f"{object_id('commit', commit)}^") == head
    assert "error" not in raw_git(repo.git_dir, "fsck", "--strict")
