"""Where units run commands: the sandbox of this machine, the tools shown in it, and the theater's policy."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import structlog
from msgspec import Struct

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import SettingsError
from ironclaw_contracts.artifacts import ToolPolicy
from ironclaw_contracts.commands import POLICY_FILE, TheaterPolicy, parse_policy, refusal
from ironclaw_contracts.endpoints import vault
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.errors import BadRequest, NotFound
from ironclaw_contracts.transcript import Run, tail
from ironclaw_sandbox import (
    BadPolicy,
    BadSetting,
    Command,
    Ended,
    Limits,
    Outcome,
    Policy,
    Sandbox,
    SandboxRefused,
    Setting,
    network_allowed,
    open_sandbox,
    parse_setting,
)
from ironclaw_worker.executor import WorkFailed

log = structlog.get_logger()

_SYSTEM_ROOTS = (Path("/"), Path("/usr"), Path("/usr/local"))


class Toolbox:
    """The host's folders that commands see read-only, and where their programs are looked for.

    What is installed beside the worker comes first, so that `ruff` is the one that was pinned with it.
    """

    def __init__(self, folders: list[Path]) -> None:
        own = Path(sys.prefix)
        shown = [own] if own not in _SYSTEM_ROOTS else []
        self.readable = (*shown, *folders)
        self.search_path = tuple(
            str(folder / "bin") if (folder / "bin").is_dir() else str(folder) for folder in self.readable
        )


class ModelEndpoint(Struct, frozen=True):
    """The provider as agent CLIs are told of it; only programs in `commands` are.

    Their calls are their own: nothing of them is reserved, and the key is in their hands.
    """

    base_url: str
    model: str
    api_key: Secret
    commands: frozenset[str] = frozenset()

    def environment_of(self, program: str) -> dict[str, str]:
        """Return the variables that a program gets; none for one that is not named."""
        if program not in self.commands:
            return {}
        return {
            "OPENAI_API_KEY": self.api_key.reveal(),
            "OPENAI_BASE_URL": self.base_url,
            "OPENAI_API_BASE": self.base_url,
            "OPENAI_MODEL": self.model,
        }

    def redacted(self, text: str) -> str:
        """Return a text without the key: what a command printed is committed, and goes to models."""
        key = self.api_key.reveal()
        return text.replace(key, "***") if key else text


class Found(Struct, frozen=True):
    """The sandbox of this machine, or why commands are refused."""

    sandbox: Sandbox | None
    refusal: str = ""

    def __str__(self) -> str:
        return self.sandbox.tier if self.sandbox is not None else f"refused: {self.refusal}"


def find_sandbox(value: str) -> Found:
    """Try what this machine can do, as `IRONCLAW_SANDBOX` asks. Blocking: before the event loop runs.

    With `auto` and no tier that works the worker serves all other orders, and refuses commands. Raises
    `SettingsError` for a value that means nothing, and when a tier asked for by name does not work.
    """
    try:
        setting = parse_setting(value)
        sandbox, _ = asyncio.run(open_sandbox(setting))
    except BadSetting as error:
        raise SettingsError(error.message) from error
    except SandboxRefused as error:
        if parse_setting(value) is not Setting.AUTO:
            raise SettingsError(error.message) from error
        log.warning("commands are refused", reason=error.message)
        return Found(None, error.message)
    log.info("commands are run", sandbox=sandbox.tier)
    return Found(sandbox)


class Workbench:
    """Runs commands for units. Without a sandbox it refuses them, and says why."""

    def __init__(
        self, client: ServiceClient, found: Found, toolbox: Toolbox, endpoint: ModelEndpoint
    ) -> None:
        self._client = client
        self._found = found
        self._toolbox = toolbox
        self._endpoint = endpoint

    async def policy(self, theater_id: str) -> TheaterPolicy:
        """Return the policy on the theater's mainline. Raises `WorkFailed` when it cannot be read as one."""
        query = vault.FileQuery(path=POLICY_FILE)
        try:
            raw: bytes | None = await self._client.call(vault.READ_FILE, query=query, theater_id=theater_id)
        except NotFound:
            raw = None
        try:
            return parse_policy(raw)
        except BadRequest as error:
            raise WorkFailed(Cause.POLICY, error.message) from error

    async def run(
        self,
        argv: list[str],
        worktree: Path,
        *,
        policy: TheaterPolicy,
        tools: ToolPolicy,
        wall_seconds: float,
        folder: str = ".",
    ) -> Run:
        """Run a command that the theater allows, and return how it ended.

        Raises `WorkFailed` with cause `policy` when the theater or this machine does not let it run, with
        cause `task` when the command itself cannot be granted (a folder outside the worktree, say).
        """
        reason = refusal(argv[0], policy)
        if reason is not None:
            raise WorkFailed(Cause.POLICY, reason)
        sandbox = self._found.sandbox
        if sandbox is None:
            raise WorkFailed(Cause.POLICY, self._found.refusal)
        command = Command(
            argv=tuple(argv),
            folder=folder,
            search_path=self._toolbox.search_path,
            environment=self._endpoint.environment_of(argv[0]),
        )
        allowed = Policy(
            worktree=worktree,
            fs_allowlist=tuple(tools.fs_allowlist),
            readable=self._toolbox.readable,
            network=network_allowed(asked=tools.network, theater_allows=policy.commands.network),
            limits=Limits(wall_seconds=wall_seconds, cpu_seconds=wall_seconds * 2),
        )
        try:
            outcome = await sandbox.run(command, allowed)
        except BadPolicy as error:
            raise WorkFailed(Cause.TASK, error.message) from error
        log.info("command ended", program=argv[0], ended=outcome.ended, exit_code=outcome.exit_code)
        return _recorded(argv, outcome, self._endpoint)


def now() -> datetime:
    """Return the time of a transcript's line."""
    return datetime.now(UTC)


def _recorded(argv: list[str], outcome: Outcome, endpoint: ModelEndpoint) -> Run:
    usage = outcome.usage
    said = _text(outcome.stderr)
    if outcome.ended is not Ended.EXITED:
        said = f"{said.rstrip()}\n({outcome.reason})".lstrip()
    return Run(
        argv=argv,
        ended=outcome.ended,
        tier=outcome.tier,
        exit_code=outcome.exit_code,
        stdout=endpoint.redacted(_text(outcome.stdout)),
        stderr=endpoint.redacted(said),
        stdout_truncated=outcome.stdout_truncated,
        stderr_truncated=outcome.stderr_truncated,
        wall_seconds=round(usage.wall_seconds, 3),
        cpu_seconds=round(usage.user_seconds + usage.system_seconds, 3),
        memory_bytes_max=usage.memory_bytes_max,
        processes_max=usage.processes_max,
        written_bytes=usage.written_bytes,
    )


def _text(output: bytes) -> str:
    return tail(output.decode("utf-8", "replace").replace("\x00", "\ufffd"))
