"""One git process: list arguments, our environment, a time limit, bounded output, nothing left behind."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from ironclaw_git.environment import environment, git_executable
from ironclaw_git.errors import GitError, GitTimeout, OutputTooLarge, UnknownObject

TIMEOUT_SECONDS = 30.0
OUTPUT_BYTES_MAX = 64 * 1024 * 1024
_STDERR_BYTES_KEPT = 8_192
_CHUNK_BYTES = 65_536
# git removes its lock files on SIGTERM; SIGKILL would leave them for the next caller to trip over.
_GRACE_SECONDS = 1.0
# What git 2.39 to 2.5x says under LC_ALL=C about an object or ref that is not there.
_UNKNOWN = (
    "bad object",
    "bad revision",
    "unknown revision",
    "not a valid object name",
    "not something we can merge",
    "not a valid ref",
    "not a tree object",
    "failed to unpack tree object",
    "not a commit",
    "could not get object info",
)


class GitResult(Struct, frozen=True):
    """What a git process said. `truncated` when the output was cut at the caller's bound."""

    stdout: bytes
    stderr: str
    returncode: int
    truncated: bool = False

    @property
    def line(self) -> str:
        """The output as one line of text."""
        return self.stdout.decode("utf-8", "backslashreplace").strip()


async def run_git(
    cwd: Path,
    *args: str,
    input: bytes | None = None,
    env_extra: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
    check: bool = True,
    max_output: int = OUTPUT_BYTES_MAX,
    truncate: bool = False,
) -> GitResult:
    """Run `git args...` in `cwd` and return what it said.

    `timeout` in seconds, `max_output` in bytes. Raises `GitTimeout`; `OutputTooLarge` unless `truncate`;
    and, when `check`, `UnknownObject` or `GitError` for an exit code other than 0. On time-out and on
    cancellation the whole process group is ended before this returns.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            git_executable(),
            *args,
            cwd=cwd,
            env=environment(env_extra),
            stdin=asyncio.subprocess.DEVNULL if input is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as problem:
        raise GitError(f"git cannot be started in {cwd}: {problem}", command=args) from problem
    try:
        async with asyncio.timeout(timeout):
            (stdout, truncated), stderr, _ = await asyncio.gather(
                _read(process, max_output), read_tail(process), _feed(process, input)
            )
            returncode = await process.wait()
    except TimeoutError as problem:
        raise GitTimeout(f"git {args[0]} did not end within {timeout:g} s", command=args) from problem
    finally:
        await end_process(process)
    result = GitResult(stdout, stderr, returncode, truncated)
    if truncated and not truncate:
        raise OutputTooLarge(f"git {args[0]} answered more than {max_output} bytes", command=args)
    if check and returncode != 0 and not truncated:
        raise failure(result, args)
    return result


def failure(result: GitResult, args: tuple[str, ...]) -> GitError:
    """Return the error that a failed git process stands for."""
    said = result.stderr.strip()
    kind = UnknownObject if any(phrase in said.lower() for phrase in _UNKNOWN) else GitError
    return kind(
        f"git {args[0]} failed with {result.returncode}: {said[-500:] or 'it said nothing'}",
        command=args,
        returncode=result.returncode,
        stderr=said,
    )


async def _read(process: asyncio.subprocess.Process, max_output: int) -> tuple[bytes, bool]:
    stream, kept = process.stdout, bytearray()
    truncated = False
    # Read to the end even when enough is had: a pipe left full keeps the process from being reaped.
    while stream is not None and (chunk := await stream.read(_CHUNK_BYTES)):
        if len(kept) <= max_output:
            kept += chunk
        if len(kept) > max_output and not truncated:
            truncated = True
            _signal(process, signal.SIGTERM)
    return bytes(kept[:max_output]), truncated


async def read_tail(process: asyncio.subprocess.Process) -> str:
    """Read standard error to its end and return what was said last."""
    stream, kept = process.stderr, b""
    while stream is not None and (chunk := await stream.read(_CHUNK_BYTES)):
        kept = (kept + chunk)[-_STDERR_BYTES_KEPT:]
    return kept.decode("utf-8", "replace")


async def _feed(process: asyncio.subprocess.Process, data: bytes | None) -> None:
    stream = process.stdin
    if stream is None or data is None:
        return
    # git may end before it has read everything; its exit code tells the story.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(data)
        await stream.drain()
    stream.close()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


async def end_process(process: asyncio.subprocess.Process) -> None:
    """End the process group if it still runs: politely, then not."""
    if process.returncode is not None:
        return
    try:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await _gone(process)
    finally:
        _signal(process, signal.SIGKILL)
    # What fled the group and holds a pipe open is not waited for.
    with contextlib.suppress(TimeoutError):
        await _gone(process)


async def _gone(process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(_GRACE_SECONDS):
        await asyncio.gather(_read(process, 0), read_tail(process), process.wait())
