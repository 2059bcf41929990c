"""How a command ended, judged from what its warden reported. Pure."""

import errno
import os
import signal
from enum import StrEnum

from msgspec import Struct

from ironclaw_launcher.order import Failed, Finished
from ironclaw_sandbox.policy import Limits
from ironclaw_sandbox.tier import Tier


class Ended(StrEnum):
    """How a command ended. Only `EXITED` says anything about the work; the others say why there is none."""

    EXITED = "exited"
    SIGNAL = "signal"
    TIMEOUT = "timeout"
    OUTPUT_LIMIT = "output_limit"
    CPU_LIMIT = "cpu_limit"
    MEMORY_LIMIT = "memory_limit"
    PROCESS_LIMIT = "process_limit"
    FILE_LIMIT = "file_limit"
    DISK_LIMIT = "disk_limit"
    COULD_NOT_RUN = "could_not_run"


class Usage(Struct, frozen=True, kw_only=True):
    """What all processes of a command used together; `memory_bytes_max` is the peak that was seen."""

    wall_seconds: float = 0.0
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    memory_bytes_max: int = 0
    processes_max: int = 0
    written_bytes: int = 0


class Outcome(Struct, frozen=True, kw_only=True):
    """The whole result of a command.

    `exit_code` is set for `EXITED`, `signal` for `SIGNAL`; `reason` says in one sentence how it ended.
    The output is cut at the limit; `stdout_truncated` and `stderr_truncated` say where.
    """

    ended: Ended
    reason: str
    tier: Tier
    exit_code: int | None = None
    signal: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_truncated: bool = False
    stderr_truncated: bool = False
    usage: Usage = Usage()

    @property
    def ok(self) -> bool:
        """Whether the command ran to its end and exited with 0."""
        return self.ended is Ended.EXITED and self.exit_code == 0


class Output(Struct, frozen=True, kw_only=True):
    """What was captured; at most the limit, and one that was hit is truncated."""

    stdout: bytes = b""
    stderr: bytes = b""
    stdout_truncated: bool = False
    stderr_truncated: bool = False


def judge(
    answer: Failed | Finished | None, output: Output, limits: Limits, tier: Tier, overtime: bool
) -> Outcome:
    """Return the outcome. `answer` is None when the warden ended without one; `overtime` when it was late."""
    ended, reason, status = _ending(answer, output, limits, overtime)
    finished = answer if answer is not None and "cause" in answer else None
    return Outcome(
        ended=ended,
        reason=reason,
        tier=tier,
        exit_code=os.WEXITSTATUS(status) if ended is Ended.EXITED else None,
        signal=os.WTERMSIG(status) if ended is Ended.SIGNAL else None,
        stdout=output.stdout,
        stderr=output.stderr,
        stdout_truncated=output.stdout_truncated,
        stderr_truncated=output.stderr_truncated,
        usage=Usage() if finished is None else _usage(finished),
    )


def _usage(finished: Finished) -> Usage:
    return Usage(
        wall_seconds=finished["wall_seconds"],
        user_seconds=finished["user_seconds"],
        system_seconds=finished["system_seconds"],
        memory_bytes_max=finished["memory_bytes_max"],
        processes_max=finished["processes_max"],
        written_bytes=finished["written_bytes"],
    )


def _ending(
    answer: Failed | Finished | None, output: Output, limits: Limits, overtime: bool
) -> tuple[Ended, str, int]:
    if output.stdout_truncated or output.stderr_truncated:
        name = "stdout" if output.stdout_truncated else "stderr"
        return Ended.OUTPUT_LIMIT, f"more than {limits.output_bytes} bytes on {name}", 0
    if overtime:
        return Ended.TIMEOUT, f"not over after {limits.wall_seconds:g} s, and its warden did not answer", 0
    if answer is None:
        said = output.stderr.decode("utf-8", "replace").strip()[-500:]
        return Ended.COULD_NOT_RUN, f"the sandbox ended without a report: {said or 'it said nothing'}", 0
    if "failed" in answer:
        return Ended.COULD_NOT_RUN, _not_run(answer), 0
    return _by_cause(answer, limits)


def _not_run(answer: Failed) -> str:
    if answer["failed"] == "setup":
        return f"the sandbox could not be built: {answer['message']}"
    hint = ": it is not installed, or its folder is not among the readable ones"
    return f"the command did not start: {answer['message']}{hint if answer['number'] == errno.ENOENT else ''}"


def _by_cause(answer: Finished, limits: Limits) -> tuple[Ended, str, int]:
    match answer["cause"]:
        case "exited":
            return _by_status(answer["status"], limits)
        case "timeout":
            return Ended.TIMEOUT, f"not over after {limits.wall_seconds:g} s", 0
        case "cpu_limit":
            return Ended.CPU_LIMIT, f"more than {limits.cpu_seconds:g} s of CPU time", 0
        case "memory_limit":
            return Ended.MEMORY_LIMIT, f"more than {limits.memory_bytes} bytes of memory", 0
        case "process_limit":
            return Ended.PROCESS_LIMIT, f"more than {limits.processes} processes and threads", 0
        case "disk_limit":
            amounts = f"{limits.written_bytes} bytes written, or less than {limits.free_bytes} left free"
            return Ended.DISK_LIMIT, f"more than {amounts}", 0
        case "stopped":
            return Ended.COULD_NOT_RUN, "stopped by its caller", 0


def _by_status(status: int, limits: Limits) -> tuple[Ended, str, int]:
    if not os.WIFSIGNALED(status):
        return Ended.EXITED, f"exit code {os.WEXITSTATUS(status)}", status
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return Ended.CPU_LIMIT, f"more than {limits.cpu_seconds:g} s of CPU time", status
    if number == signal.SIGXFSZ:
        return Ended.FILE_LIMIT, f"a file of more than {limits.file_bytes} bytes", status
    return Ended.SIGNAL, f"ended by signal {number} ({signal.strsignal(number) or 'unknown'})", status
