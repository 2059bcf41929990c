"""A theater's repository: made bare, or a user's own opened in place. Reads, and how it comes to be.

What is asked for every order is read through libgit2 (`native`), all else is one git process per call.
One read goes through GitPython: `commit_info`, where its parser knows the encodings, zones and headers that
a commit can carry. It runs in a thread, on our environment, and is closed before the answer. Not more of it:
its wrappers inherit the caller's environment and take options from names, its pure-Python object database
is deprecated as insecure, and unclosed it leaks a process per repository.
"""

import asyncio
import fnmatch
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TypeVar

import pygit2

from ironclaw_git.environment import environment
from ironclaw_git.errors import GitError, NotARepository, Occupied, UnknownObject
from ironclaw_git.hardened import git, hardened_environment
from ironclaw_git.layout import Layout, head_ref, locate
from ironclaw_git.locks import exclusive
from ironclaw_git.names import (
    IRONCLAW,
    Person,
    branch_ref,
    check_branch,
    check_message,
    check_person,
    check_ref,
    check_sha,
)
from ironclaw_git.native import native
from ironclaw_git.objects import (
    ChangedPath,
    CommitInfo,
    Diff,
    FileEntry,
    encode_commit,
    parse_files,
    parse_refs,
    plain_lines,
)
from ironclaw_git.odb import require, write
from ironclaw_git.paths import absolute
from ironclaw_git.reading import READ_BYTES_MAX, Reading
from ironclaw_git.run import GitResult, run_git

T = TypeVar("T")

_HEADS = "refs/heads/"


class Repository:
    """A repository by its folders and its mainline; holds no process and no open file."""

    def __init__(self, layout: Layout, mainline_branch: str) -> None:
        """Use `open` or `create`, which check what stands at the path."""
        self.layout = Layout(layout.common_dir, layout.common_dir)
        """The repository without any work tree, as objects and refs are worked on."""
        self.work_tree = layout.work_tree
        """The user's own checkout, where the repository has one."""
        self.mainline_branch = check_branch(mainline_branch)

    @property
    def git_dir(self) -> Path:
        """The folder with the objects, refs and worktree records."""
        return self.layout.git_dir

    @property
    def mainline_ref(self) -> str:
        """The full ref of the mainline."""
        return branch_ref(self.mainline_branch)

    @classmethod
    async def create(
        cls, path: str | Path, mainline: str = "main", *, committer: Person = IRONCLAW
    ) -> "Repository":
        """Make a bare repository at `path` with an empty first commit on the mainline.

        It appears whole or not at all. Raises `Occupied` when something stands at `path`.
        """
        target = absolute(path)
        ref = branch_ref(mainline)
        check_person(committer)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        except OSError as problem:
            raise Occupied(f"{target.parent} cannot hold a repository: {problem}") from problem
        try:
            await run_git(
                making, *("init", "-q", "--bare", "--template=", f"--initial-branch={mainline}", str(making))
            )
            layout = Layout(making, making)
            tree = (await git(layout, "hash-object", "-w", "-t", "tree", "--stdin", input=b"")).line
            commit = await commit_tree(layout, tree, (), "Begin the theater", committer, committer)
            await git(layout, "update-ref", ref, commit, "")
            # Renaming a folder onto another succeeds only when that one is empty.
            await asyncio.to_thread(making.rename, target)
        except OSError as problem:
            raise Occupied(f"{target} already exists; open it, or choose another path") from problem
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return cls(Layout(target, target), mainline)

    @classmethod
    async def open(cls, path: str | Path, mainline: str | None = None) -> "Repository":
        """Open the repository at `path` (bare, a checkout, or one of its linked worktrees).

        Without `mainline` it is the branch that HEAD stands on now; keep that, since a user may switch.
        Raises `NotARepository`, `UnsafeConfig`, and `UnknownObject` when the mainline has no commit.
        """
        found = locate(path)
        ref = branch_ref(mainline) if mainline else head_ref(found.common_dir)
        if ref is None or not ref.startswith(_HEADS):
            raise NotARepository(f"{found.common_dir}: HEAD stands on no branch; name the mainline")
        work_tree = None if found.linked else found.work_tree
        repository = cls(Layout(found.common_dir, found.common_dir, work_tree), ref.removeprefix(_HEADS))
        await repository.mainline_head()
        return repository

    def lock(self, timeout: float = 30.0) -> AbstractAsyncContextManager[None]:
        """Hold the repository's lock on worktree records and checkouts; wait at most `timeout` seconds."""
        return exclusive(self.git_dir, timeout)

    async def git(
        self, *args: str, input: bytes | None = None, check: bool = True, timeout: float = 30.0
    ) -> GitResult:
        """Run git on the objects and refs, without a work tree."""
        return await git(self.layout, *args, input=input, check=check, timeout=timeout)

    async def reading(self, act: Callable[[Reading], T]) -> T:
        """Read several things in one go, in a thread."""
        return await native(self.layout, lambda repository: act(Reading(repository)))

    async def resolve(self, revision: str) -> str:
        """Return the commit that a full object id, branch, ref or `HEAD` means; raise `UnknownObject`."""
        return await self.reading(lambda now: now.resolve(revision))

    async def ref(self, name: str) -> str | None:
        """Return the object that a full ref stands on; None when there is no such ref."""
        return await self.reading(lambda now: now.ref(name))

    async def mainline_head(self) -> str:
        """Return the commit that the mainline stands on."""
        return await self.resolve(self.mainline_ref)

    async def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Say whether `descendant` contains `ancestor`; both are full object ids."""
        return await self.contains_all(descendant, (ancestor,))

    async def contains_all(self, commit: str, shas: Sequence[str]) -> bool:
        """Say whether `commit` contains every one of `shas`; raise `UnknownObject` when one is not known."""
        return not shas or await self.reading(lambda now: now.contains_all(commit, shas))

    async def tree_of(self, commit: str) -> str:
        """Return the hash of a commit's tree; raise `UnknownObject`."""
        return await self.reading(lambda now: now.tree_of(commit))

    async def list_files(
        self, commit: str, pattern: str | None = None, limit: int = 1_000
    ) -> list[FileEntry]:
        """Return at most `limit` files of a commit, in git's order.

        `pattern` is a glob over whole paths; its `*` crosses `/`. A path that is not UTF-8 shows `\\xNN`.
        """
        listed = await self.git("ls-tree", "-r", "-l", "-z", "--full-tree", check_sha(commit))
        files: list[FileEntry] = []
        for entry in parse_files(listed.stdout):
            if len(files) >= limit:
                break
            if pattern is None or fnmatch.fnmatchcase(entry.path, pattern):
                files.append(entry)
        return files

    async def read_file(self, commit: str, path: str, max_bytes: int = READ_BYTES_MAX) -> bytes:
        """Return the bytes of one file of a commit; see `Reading.read_file`."""
        return await self.reading(lambda now: now.read_file(commit, path, max_bytes))

    async def log(self, commit: str, limit: int = 50, graph: bool = False) -> list[str]:
        """Return the history of a commit as `git log --oneline` lines, newest first; controls removed."""
        shape = ("--graph",) if graph else ()
        answer = await self.git(
            *("log", "--oneline", "--no-color", "--no-decorate", "--no-notes", "--no-show-signature"),
            *("--abbrev=10", f"--max-count={int(limit)}", *shape, check_sha(commit), "--"),
        )
        return plain_lines(answer.stdout)

    async def commit_info(self, sha: str) -> CommitInfo:
        """Return what a commit records; raise `UnknownObject`."""
        check_sha(sha)
        variables = environment(await hardened_environment(self.layout))
        return await asyncio.to_thread(_commit_info, self.git_dir, variables, sha)

    async def diff(self, base: str, head: str, max_bytes: int = READ_BYTES_MAX) -> Diff:
        """Return the unified diff between two commits, cut at `max_bytes`."""
        answer = await git(
            self.layout,
            *("diff-tree", "-p", "-r", "-M", "--no-ext-diff", "--no-textconv", "--no-color"),
            *("--submodule=short", check_sha(base), check_sha(head), "--"),
            max_output=max_bytes,
            truncate=True,
        )
        return Diff(answer.stdout.decode("utf-8", "replace"), answer.truncated)

    async def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """Return every path that differs between two commits; a rename is a deletion and an addition."""
        return await self.reading(lambda now: now.changed_paths(base, head))

    async def refs(self, prefix: str = "refs/heads") -> dict[str, str]:
        """Return every ref that is `prefix` or below it, with its object id."""
        answer = await self.git("for-each-ref", "--format=%(objectname) %(refname)", check_ref(prefix))
        return parse_refs(answer.stdout)


async def commit_tree(
    layout: Layout,
    tree: str,
    parents: tuple[str, ...],
    message: str,
    author: Person,
    committer: Person = IRONCLAW,
    when: datetime | None = None,
) -> str:
    """Store a commit of `tree` and return its id; no ref moves. `when` is now unless given."""
    return await native(
        layout, lambda repo: store_commit(repo, tree, parents, message, author, committer, when)
    )


def store_commit(
    repository: pygit2.Repository,
    tree: str,
    parents: tuple[str, ...],
    message: str,
    author: Person,
    committer: Person = IRONCLAW,
    when: datetime | None = None,
) -> str:
    """Do as `commit_tree` does. Blocking."""
    require(repository, check_sha(tree, "tree"), "tree")
    for parent in parents:
        require(repository, check_sha(parent), "commit")
    seconds = int(when.timestamp() if when else time.time())
    by = check_person(author), check_person(committer)
    return write(repository, "commit", encode_commit(tree, parents, check_message(message), *by, seconds))


def _zoned(value: datetime) -> datetime:
    """Return the time with a zone of the standard library in place of GitPython's own."""
    return value.replace(tzinfo=timezone(value.utcoffset() or timedelta(0)))


def _commit_info(git_dir: Path, variables: dict[str, str], sha: str) -> CommitInfo:
    from git import Commit, Repo
    from git.exc import GitCommandError
    from git.exc import GitError as GitPythonError

    try:
        with Repo(git_dir, expand_vars=False) as repo:
            repo.git.update_environment(**variables)
            commit = Commit(repo, bytes.fromhex(sha))
            message = commit.message
            return CommitInfo(
                sha=sha,
                tree=commit.tree.hexsha,
                parents=tuple(parent.hexsha for parent in commit.parents),
                author=Person(commit.author.name or "", commit.author.email or ""),
                authored_at=_zoned(commit.authored_datetime),
                committer=Person(commit.committer.name or "", commit.committer.email or ""),
                committed_at=_zoned(commit.committed_datetime),
                message=message if isinstance(message, str) else message.decode("utf-8", "replace"),
            )
    except ValueError as problem:
        raise UnknownObject(f"the repository has no commit {sha}") from problem
    except (GitCommandError, GitPythonError, OSError) as problem:
        raise GitError(f"commit {sha} cannot be read: {problem}") from problem
