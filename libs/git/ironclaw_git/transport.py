"""Serve one branch of a repository over git's smart HTTP (gitprotocol-http(5), version 0).

Every ref but the one is hidden, for reading and writing: a client sees that branch, can want only its tip,
and can push only to it, only forward. Version 2 is not spoken: its clients may want any object by its id.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import IO, Literal

from ironclaw_git.environment import FIXED_SETTINGS, Settings, environment, git_executable, settings_variables
from ironclaw_git.errors import GitError
from ironclaw_git.hardened import hardened_settings, repository_variables
from ironclaw_git.names import branch_ref
from ironclaw_git.repository import Repository
from ironclaw_git.run import end_process, read_tail

GitService = Literal["git-upload-pack", "git-receive-pack"]

_CHUNK_BYTES = 65_536
_EXCHANGE_SECONDS = 300.0


def _settings(ref: str, git_dir: str, push_bytes_max: int) -> Settings:
    return (
        ("safe.directory", git_dir),
        ("advice.graftFileDeprecated", "false"),
        # The last that matches wins, and ours come after the repository's own.
        ("transfer.hideRefs", "HEAD"),
        ("transfer.hideRefs", "refs/"),
        ("transfer.hideRefs", f"!{ref}"),
        ("transfer.fsckObjects", "true"),
        ("uploadpack.allowTipSHA1InWant", "false"),
        ("uploadpack.allowReachableSHA1InWant", "false"),
        ("uploadpack.allowAnySHA1InWant", "false"),
        ("uploadpack.allowFilter", "false"),
        ("receive.denyDeletes", "true"),
        ("receive.denyNonFastForwards", "true"),
        # The branch is out in the vault's own worktree, which follows it afterwards (`follow_branch`).
        ("receive.denyCurrentBranch", "ignore"),
        ("receive.maxInputSize", str(push_bytes_max)),
        ("receive.shallowUpdate", "false"),
        ("receive.advertisePushOptions", "false"),
        ("receive.autogc", "false"),
        ("receive.updateServerInfo", "false"),
    )


def packet(line: str) -> bytes:
    """Return a pkt-line: four hexadecimal digits of its whole length, then the line."""
    raw = line.encode()
    return b"%04x" % (len(raw) + 4) + raw


async def advertise(repo: Repository, service: GitService, branch: str) -> AsyncGenerator[bytes]:
    """Yield the answer to `GET info/refs?service=...`: the one branch, and what we can do."""
    yield packet(f"# service={service}\n") + b"0000"
    async for chunk in _run(repo, service, branch, 0, "--advertise-refs", request=None):
        yield chunk


async def exchange(
    repo: Repository, service: GitService, branch: str, request: IO[bytes], push_bytes_max: int = 0
) -> AsyncGenerator[bytes]:
    """Yield the answer to `POST git-upload-pack` or `git-receive-pack`; `request` is a file with its body.

    `push_bytes_max` bounds a pushed pack; 0 for none. Raises `GitError` when git could not do it at all: what
    it refused it says to the client in its own answer.
    """
    async for chunk in _run(repo, service, branch, push_bytes_max, request=request):
        yield chunk


async def _run(
    repo: Repository,
    service: GitService,
    branch: str,
    push_bytes_max: int,
    *options: str,
    request: IO[bytes] | None,
) -> AsyncGenerator[bytes]:
    layout = repo.layout
    ref = branch_ref(branch)
    ours = _settings(ref, str(layout.git_dir), push_bytes_max)
    own = await hardened_settings(layout)
    variables = {**repository_variables(layout), **settings_variables(FIXED_SETTINGS + own + ours)}
    verb = service.removeprefix("git-")
    process = await asyncio.create_subprocess_exec(
        *(git_executable(), verb, "--stateless-rpc", *options, str(layout.git_dir)),
        cwd=layout.git_dir,
        env=environment(variables),
        stdin=asyncio.subprocess.DEVNULL if request is None else request,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    said = asyncio.create_task(read_tail(process))
    try:
        async with asyncio.timeout(_EXCHANGE_SECONDS):
            while process.stdout is not None and (chunk := await process.stdout.read(_CHUNK_BYTES)):
                yield chunk
            returncode = await process.wait()
        if returncode != 0:
            message = (await said).strip()[-500:]
            raise GitError(f"git {verb} failed with {returncode}: {message or 'it said nothing'}")
    finally:
        said.cancel()
        await end_process(process)
        await asyncio.gather(said, return_exceptions=True)
