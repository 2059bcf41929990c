"""Pushing one branch to a remote that an operator named: nothing of the repository's configuration has a say.

The push runs in an empty repository that borrows the objects. So no `insteadOf`, proxy, credential helper or
remote of a repository that others configured can send code, or a token, elsewhere.
"""

import asyncio
import base64
import re
import shlex
import tempfile
from pathlib import Path

from msgspec import Struct

from ironclaw_git.environment import FIXED_SETTINGS, settings_variables
from ironclaw_git.errors import StaleRef, UnsafeName
from ironclaw_git.names import check_branch, check_sha
from ironclaw_git.repository import Repository
from ironclaw_git.run import failure, run_git

_TIMEOUT_SECONDS = 300.0
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\Ahttps://[A-Za-z0-9.-]+(?::\d+)?/[A-Za-z0-9._~/%+-]+\Z"), "https"),
    (
        re.compile(r"\Assh://(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?/[A-Za-z0-9._~/%+-]+\Z"),
        "ssh",
    ),
    (re.compile(r"\A/[^\x00-\x1f\x7f:]+\Z"), "file"),
)
_REFUSED = ("[rejected]", "non-fast-forward", "fetch first")


class Credentials(Struct, frozen=True):
    """How to show who pushes: a token for https, a key and the known hosts for ssh."""

    token: str = ""
    ssh_key: str = ""
    known_hosts: str = ""


def check_remote(url: str) -> str:
    """Return the protocol of a remote's address; raise `UnsafeName` for one that is not plain.

    `https://host/path`, `ssh://user@host/path` or an absolute path; no password, query or option in it.
    """
    found = next((protocol for pattern, protocol in _FORMS if pattern.match(url)), None)
    if found is None or ".." in url:
        raise UnsafeName(
            f"remote {url[:200]!r}: give https://host/path, ssh://user@host/path or an absolute path,"
            " without password, query or '..'"
        )
    return found


async def push(repo: Repository, url: str, commit: str, branch: str, credentials: Credentials) -> None:
    """Bring `commit` to `branch` of the remote at `url`; never by force.

    Raises `StaleRef` when the branch there has commits that `commit` does not contain, `GitError` when the
    remote cannot be reached or refuses, and `UnsafeName`.
    """
    protocol = check_remote(url)
    check_sha(commit)
    check_branch(branch)
    with tempfile.TemporaryDirectory(prefix="ironclaw-push-") as scratch:
        borrowed = Path(scratch)
        await run_git(borrowed, "init", "-q", "--bare", "--template=", str(borrowed))
        await asyncio.to_thread(_borrow, borrowed, repo.git_dir / "objects")
        args = (
            "push",
            "--porcelain",
            "--no-verify",
            "--end-of-options",
            url,
            f"{commit}:refs/heads/{branch}",
        )
        answer = await run_git(
            borrowed,
            *args,
            env_extra=_environment(borrowed, protocol, credentials),
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    if answer.returncode == 0:
        return
    said = answer.stderr + answer.stdout.decode("utf-8", "replace")
    if any(phrase in said for phrase in _REFUSED):
        raise StaleRef(f"{branch} of the remote has commits that the mainline has not: merge them first")
    raise failure(answer, ("push",))


def _borrow(repository: Path, objects: Path) -> None:
    info = repository / "objects" / "info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "alternates").write_text(f"{objects}\n")


def _environment(repository: Path, protocol: str, credentials: Credentials) -> dict[str, str]:
    settings = FIXED_SETTINGS
    if protocol == "https" and credentials.token:
        basic = base64.b64encode(f"x-access-token:{credentials.token}".encode()).decode()
        settings = (*settings, ("http.extraHeader", f"Authorization: Basic {basic}"))
    settings = (*settings, ("http.followRedirects", "false"))
    variables = {
        "GIT_DIR": str(repository),
        "GIT_ALLOW_PROTOCOL": protocol,
        **settings_variables(settings),
    }
    if protocol == "ssh":
        command = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
        if credentials.known_hosts:
            command += ["-o", f"UserKnownHostsFile={credentials.known_hosts}"]
        if credentials.ssh_key:
            command += ["-o", "IdentitiesOnly=yes", "-i", credentials.ssh_key]
        variables["GIT_SSH_COMMAND"] = shlex.join(command)
    return variables
