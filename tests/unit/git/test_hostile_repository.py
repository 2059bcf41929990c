"""Row 15 of the table of trust: a repository that wants to run programs on the host runs none."""

import shutil
from pathlib import Path

import pytest

from ironclaw_git import (
    Conflict,
    Merged,
    Person,
    Repository,
    UnsafePath,
    add_worktree,
    archive,
    archive_by_ref,
    commit_all,
    contained,
    delete_branch,
    merge,
    promote,
    remove_worktree,
    salvage,
    status,
)
from ironclaw_git.hardened import neutralised

from .conftest import RawGit

pytestmark = pytest.mark.trust

HOOKS = [
    "applypatch-msg",
    "pre-applypatch",
    "post-applypatch",
    "pre-commit",
    "pre-merge-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-rebase",
    "post-checkout",
    "post-merge",
    "pre-push",
    "pre-receive",
    "update",
    "proc-receive",
    "post-receive",
    "post-update",
    "reference-transaction",
    "push-to-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "sendemail-validate",
    "fsmonitor-watchman",
    "post-index-change",
]

CONFIG = """
[core]
	fsmonitor = {evil} fsmonitor
	hooksPath = {hooks}
	sshCommand = {evil} ssh
	editor = {evil} editor
	pager = {evil} pager
	askPass = {evil}
	gitProxy = {evil}
	alternateRefsCommand = {evil} alternates
	attributesFile = {attributes}
	safecrlf = true
[commit]
	gpgSign = true
[tag]
	gpgSign = true
[log]
	showSignature = true
[gpg]
	program = {evil}
[gpg "ssh"]
	program = {evil}
	defaultKeyCommand = {evil} key
[credential]
	helper = !{evil} credential
[alias]
	status = !{evil} alias
	log = !{evil} alias
[diff]
	external = {evil} external-diff
	ignoreSubmodules = none
[diff "evil"]
	command = {evil} diff-command
	textconv = {evil} textconv
[merge]
	default = evil
	renormalize = true
[merge "evil"]
	name = evil
	driver = {evil} merge-driver %A
	recursive = evil
[merge "text"]
	driver = {evil} merge-text %A
[filter "evil"]
	clean = {evil} clean
	smudge = {evil} smudge
	required = true
[filter "lfs=x.y"]
	process = {evil} process
	required = true
[filter "Evil\\"quoted"]
	clean = {evil} clean-quoted
	smudge = {evil} smudge-quoted
[hook "evil"]
	command = {evil} config-hook
	event = post-commit
	event = pre-commit
	event = reference-transaction
[protocol]
	allow = always
[protocol "ext"]
	allow = always
[remote "origin"]
	url = "ext::{evil} remote"
	uploadpack = {evil} uploadpack
	receivepack = {evil} receivepack
	vcs = evil
	fetch = +refs/*:refs/*
[uploadpack]
	packObjectsHook = {evil} pack-objects
[submodule]
	recurse = true
[submodule "sub"]
	active = true
	url = "ext::{evil} submodule"
	update = "!{evil} submodule-update"
[sequence]
	editor = {evil} sequence
[interactive]
	diffFilter = {evil} difffilter
[trailer "x"]
	command = {evil} trailer
	cmd = {evil} trailer
[tar "tar"]
	command = {evil} tar
[pager]
	log = {evil} pager
	diff = {evil} pager
[gc]
	auto = 1
	recentObjectsHook = {evil} gc
[extensions]
	worktreeConfig = true
[maintenance]
	auto = true
"""
ATTRIBUTES = (
    '* filter=evil diff=evil merge=evil\n*.x filter=lfs=x.y merge=text ident\n*.q filter=Evil"quoted\n'
)


class Hostile:
    """A user's checkout full of traps, a branch to merge, and the file that any trap writes."""

    def __init__(self, root: Path, canary: Path, base: str, branch: str) -> None:
        self.root, self.canary, self.base, self.branch = root, canary, base, branch

    @property
    def executed(self) -> str:
        return self.canary.read_text() if self.canary.exists() else ""


def plant(git_dir: Path, evil: Path, hooks: Path, attributes: Path) -> None:
    config = CONFIG.format(evil=evil, hooks=hooks, attributes=attributes)
    (git_dir / "config").open("a").write(config)
    (git_dir / "config.worktree").write_text(
        f"[core]\n\tfsmonitor = {evil} worktree-fsmonitor\n\thooksPath = {hooks}\n"
    )
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info" / "attributes").write_text(ATTRIBUTES)
    (git_dir / "hooks").mkdir(exist_ok=True)
    for hook in HOOKS:
        for folder in (git_dir / "hooks", hooks):
            folder.mkdir(exist_ok=True)
            (folder / hook).write_text(f'#!/bin/sh\nexec {evil} hook-{hook} "$@"\n')
            (folder / hook).chmod(0o755)


@pytest.fixture
def hostile(tmp_path: Path, raw_git: RawGit) -> Hostile:
    root, canary = tmp_path / "hostile", tmp_path / "canary"
    evil, hooks, attributes = tmp_path / "evil", tmp_path / "more-hooks", tmp_path / "attributes"
    # A filter that works, so that nothing fails early and every trap has its chance.
    evil.write_text(f'#!/bin/sh\necho "$1" >> {canary}\ncat\nexit 0\n')
    evil.chmod(0o755)
    attributes.write_text(ATTRIBUTES)
    (tmp_path / "outside").mkdir()
    root.mkdir()
    raw_git(root, "init", "-q", "-b", "main")
    sub = root / "sub"
    sub.mkdir()
    raw_git(sub, "init", "-q", "-b", "main")
    (sub / "inner").write_text("inner\n")
    (sub / ".gitattributes").write_text(ATTRIBUTES)
    raw_git(sub, "add", "-A")
    raw_git(sub, "commit", "-q", "-m", "Sub")
    for name, text in {
        "file": "1\n2\n3\n4\n5\n",
        "both.x": "1\n2\n3\n4\n5\n",
        "a.q": "q\n",
        "README": "a\n",
        "readme": "b\n",
    }.items():
        (root / name).write_text(text)
    (root / ".gitattributes").write_text(ATTRIBUTES)
    (root / ".gitmodules").write_text(
        f'[submodule "sub"]\n\tpath = sub\n\turl = ext::{evil}\n\tupdate = !{evil} gitmodules\n'
    )
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "up").symlink_to("../../..")
    raw_git(root, "-c", "advice.addEmbeddedRepo=false", "add", "-A")
    raw_git(root, "commit", "-q", "-m", "Begin")
    base = raw_git(root, "rev-parse", "HEAD")
    raw_git(root, "switch", "-q", "-c", "side")
    (root / "file").write_text("1\n2\n3\n4\nside\n")
    (root / "both.x").write_text("1\n2\n3\n4\nside\n")
    raw_git(root, "commit", "-qam", "Side")
    branch = raw_git(root, "rev-parse", "HEAD")
    raw_git(root, "switch", "-q", "-c", "mine", "main")
    (root / "file").write_text("mine\n2\n3\n4\n5\n")
    (root / "both.x").write_text("mine\n2\n3\n4\n5\n")
    raw_git(root, "commit", "-qam", "Mine")
    raw_git(root, "switch", "-q", "main")
    plant(root / ".git", evil, hooks, attributes)
    plant(sub / ".git", evil, hooks, attributes)
    (sub / "inner").write_text("changed\n")
    assert not canary.exists()
    return Hostile(root, canary, base, branch)


@pytest.mark.parametrize(
    ("command", "trap"),
    [
        ("add file", "clean"),
        ("checkout -f side -- file", "smudge"),
        ("add both.x", "process"),
        ("add -A", "worktree-fsmonitor"),
        ("diff --ext-diff main side -- file", "diff-command"),
        ("diff --no-ext-diff main side -- file", "textconv"),
        ("merge-tree --write-tree mine side", "merge-driver"),
        ("update-ref refs/heads/x HEAD", "hook-reference-transaction"),
    ],
)
def test_given_the_traps_when_ordinary_git_is_used_then_they_do_spring(
    hostile: Hostile, raw_git: RawGit, command: str, trap: str
) -> None:
    # The control: without it the tests below could pass on traps that no git would touch.
    (hostile.root / "file").write_text("touched\n")
    (hostile.root / "both.x").write_text("touched\n")
    raw_git(hostile.root, *command.split(), check=False)
    assert trap in hostile.executed.split()


async def test_given_a_hostile_repository_when_every_operation_runs_on_it_then_nothing_is_executed(
    hostile: Hostile, tmp_path: Path, unit: Person
) -> None:
    def nothing_ran(after: str) -> None:
        assert hostile.executed == "", f"{after} executed {hostile.executed}"

    repo = await Repository.open(hostile.root)
    nothing_ran("open")
    await repo.resolve("side")
    await repo.list_files(hostile.base)
    assert await repo.read_file(hostile.base, "out") == str(tmp_path / "outside").encode()
    await repo.log(hostile.branch, graph=True)
    await repo.commit_info(hostile.base)
    assert "+side" in (await repo.diff(hostile.base, hostile.branch)).patch
    await repo.changed_paths(hostile.base, hostile.branch)
    await repo.refs("refs/heads")
    assert await repo.contains_all(hostile.branch, [hostile.base])
    nothing_ran("reading")

    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", hostile.base)
    assert (worktree.path / "file").read_text() == "1\n2\n3\n4\n5\n"
    assert {"README", "readme"} <= {path.name for path in worktree.path.iterdir()}
    nothing_ran("add_worktree")
    with pytest.raises(UnsafePath):
        contained(worktree.path, "out/x")
    # The unit fills the submodule's folder with a hostile repository of its own, and changes files.
    shutil.copytree(hostile.root / "sub", worktree.path / "sub", dirs_exist_ok=True)
    shutil.copytree(hostile.root / "sub", worktree.path / "nested")
    (worktree.path / "file").write_text("unit\n2\n3\n4\n5\n")
    (worktree.path / "both.x").write_text("unit\n2\n3\n4\n5\n")
    (worktree.path / "order.json").write_text("{}")
    (worktree.path / "new.q").write_text("new\n")
    (worktree.path / "out").unlink()
    (worktree.path / "out").symlink_to("/etc")
    assert "nested/inner" in (await status(worktree.path, repo)).changed
    nothing_ran("status")
    salvaged = await salvage(repo, worktree.path, "o1", 1)
    assert salvaged is not None
    assert await repo.read_file(salvaged, "nested/inner") == b"changed\n"
    nothing_ran("salvage")
    await archive(repo, worktree.path, worktree.branch, tmp_path / "kept", "o1", 1)
    nothing_ran("archive")
    head = await commit_all(worktree.path, "Work", unit, repo=repo)
    assert head != hostile.base
    assert (await status(worktree.path, repo)).clean
    nothing_ran("commit_all")

    merged = await merge(repo, head, hostile.branch, "Merge", unit)
    assert isinstance(merged, Merged)
    for path in ("file", "both.x"):
        assert await repo.read_file(merged.commit, path) == b"unit\n2\n3\n4\nside\n"
    (worktree.path / "file").write_text("another\n2\n3\n4\nother\n")
    other = await commit_all(worktree.path, "Other", unit, repo=repo)
    assert await merge(repo, hostile.branch, other, "Merge", unit) == Conflict(("file",))
    nothing_ran("merge")
    onto = await merge(repo, hostile.base, merged.commit, "Land", unit)
    assert isinstance(onto, Merged)
    await promote(repo, onto.commit, hostile.base)
    assert (hostile.root / "file").read_text() == "unit\n2\n3\n4\nside\n"
    assert not (hostile.root / "order.json").exists()
    nothing_ran("promote")

    await archive_by_ref(repo, other, "o1", 1)
    await archive(repo, worktree.path, worktree.branch, tmp_path / "kept", "o1", 1)
    await remove_worktree(repo, worktree.path, preserved=False)
    await delete_branch(repo, "order_o1", other)
    nothing_ran("the end")
    assert list((tmp_path / "outside").iterdir()) == []


async def test_given_configuration_planted_after_opening_when_used_then_it_is_seen(
    checkout: Path, tmp_path: Path, unit: Person
) -> None:
    repo = await Repository.open(checkout)
    worktree = await add_worktree(repo, tmp_path / "w", "order_o1", await repo.mainline_head())
    canary = tmp_path / "canary"
    (checkout / ".git" / "config").open("a").write(f'[filter "late"]\n\tclean = touch {canary}; cat\n')
    (worktree.path / ".gitattributes").write_text("* filter=late\n")
    (worktree.path / "new").write_text("x\n")
    head = await commit_all(worktree.path, "Work", unit, repo=repo)
    assert await repo.read_file(head, "new") == b"x\n"
    assert not canary.exists()


async def test_given_a_worktree_whose_git_folder_is_the_units_own_when_looked_at_then_nothing_is_executed(
    hostile: Hostile, tmp_path: Path, unit: Person
) -> None:
    # Without the repository given, so that only the neutralised configuration protects.
    trap = tmp_path / "trap"
    shutil.copytree(hostile.root, trap, symlinks=True)
    (trap / "file").write_text("changed\n")
    await status(trap)
    await commit_all(trap, "Work", unit)
    await status(trap)
    assert hostile.executed == ""


def test_given_odd_key_names_when_neutralised_then_each_is_answered_exactly() -> None:
    answered = dict(
        neutralised(
            ["filter.a=b.c\nd.clean", "merge..driver", "diff.x.textconv", "core.bare", "hook.h.command"]
        )
    )
    assert answered["filter.a=b.c\nd.clean"] == ""
    assert answered["filter.a=b.c\nd.required"] == "false"
    assert answered["merge..driver"].startswith("git merge-file")
    assert answered["diff.x.textconv"] == "false"
    assert answered["hook.h.command"] == "true"
    assert "core.bare" not in answered
