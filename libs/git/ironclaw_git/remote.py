"""A worktree on another machine: fetched over HTTP with a token for its order, pushed back the same way."""

import asyncio
import shutil
from pathlib import Path

from msgspec import Struct

from ironclaw_git.environment import FIXED_SETTINGS, settings_variables
from ironclaw_git.errors import GitError, RemoteRefused, StaleRef
from ironclaw_git.hardened import git
from ironclaw_git.layout import locate
from ironclaw_git.names import branch_ref, check_sha
from ironclaw_git.paths import absolute
from ironclaw_git.run import run_git

_TRANSFER_SECONDS = 300.0
_STILL_SECONDS = 10
_REFUSALS = (
    "returned error: 4",
    "could not read Username",  # 401: git would ask a person for another password
    "remote rejected",
    "non-fast-forward",
    "fetch first",
    "stale info",
)


class Remote(Struct, frozen=True):
    """Where one order's branch is served, and the token that opens it. `url` is http or https."""

    url: str
    token: str

    def variables(self) -> dict[str, str]:
        """Return the environment that lets git reach this place and no other; the token is in no argument."""
        settings = (
            *FIXED_SETTINGS,
            ("http.extraHeader", f"Authorization: Bearer {self.token}"),
            ("http.followRedirects", "false"),
            # A connection that went silent is given up; the caller tries again.
            ("http.lowSpeedLimit", "1"),
            ("http.lowSpeedTime", str(_STILL_SECONDS)),
            ("protocol.version", "0"),
            ("advice.graftFileDeprecated", "false"),
            ("push.negotiate", "false"),
            ("fetch.fsckObjects", "true"),
        )
        return {**settings_variables(settings), "GIT_ALLOW_PROTOCOL": "http:https"}


async def fetch_worktree(remote: Remote, path: str | Path, branch: str, base_commit: str) -> Path:
    """Make a repository at `path` with `branch` out at `base_commit`, without history before it.

    What stands at `path` is replaced. Raises `RemoteRefused` when the token does not open the branch,
    `StaleRef` when it stands on another commit, `GitError` when the remote cannot be reached.
    """
    target, ref = absolute(path), branch_ref(branch)
    check_sha(base_commit, "base_commit")
    await asyncio.to_thread(_clear, target)
    await run_git(target, "init", "-q", "--template=", f"--initial-branch={branch}", str(target))
    layout = locate(target)
    fetched = "refs/ironclaw/fetched"
    await _reach(
        target,
        *("fetch", "-q", "--depth=1", "--no-tags", "--no-recurse-submodules", "--end-of-options"),
        *(remote.url, f"+{ref}:{fetched}"),
        remote=remote,
    )
    head = (await git(layout, "rev-parse", "--verify", "--end-of-options", fetched)).line
    if head != base_commit:
        raise StaleRef(f"{branch} stands on {head}, not on {base_commit}: somebody worked on it already")
    await git(layout, "update-ref", ref, head, "")
    await git(layout, "reset", "-q", "--hard", head, timeout=_TRANSFER_SECONDS)
    return target


async def push_branch(remote: Remote, path: str | Path, branch: str) -> None:
    """Push the branch of the worktree at `path`; nothing to do when the remote has it.

    Raises `RemoteRefused` when it will not be taken, `GitError` when the remote cannot be reached.
    """
    ref = branch_ref(branch)
    await _reach(
        absolute(path),
        *("push", "-q", "--no-verify", "--no-recurse-submodules", "--end-of-options"),
        *(remote.url, f"{ref}:{ref}"),
        remote=remote,
    )


async def _reach(path: Path, *args: str, remote: Remote) -> None:
    try:
        # The repository is one that we made just now: nothing in its configuration has to be answered.
        await git(locate(path), *args, env_extra=remote.variables(), timeout=_TRANSFER_SECONDS)
    except GitError as error:
        if any(words in error.stderr for words in _REFUSALS):
            raise RemoteRefused(error.message, command=error.command, stderr=error.stderr) from error
        raise


def _clear(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(mode=0o700, parents=True)
