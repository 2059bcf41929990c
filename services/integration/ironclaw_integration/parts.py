"""What the service holds while it runs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.settings import SettingsError
from ironclaw_integration.forecast import Forecast
from ironclaw_integration.judging import Judging
from ironclaw_integration.merge_queue import MergeQueue
from ironclaw_integration.proofs import Proofs
from ironclaw_integration.pushing import Pusher, parse_remotes
from ironclaw_integration.runner import GateRunner
from ironclaw_integration.scratch import Scratch
from ironclaw_integration.settings import Settings
from ironclaw_integration.store import Store
from ironclaw_integration.theaters import Theaters
from ironclaw_integration.toolchain import Toolchain
from ironclaw_sandbox import BadSetting, Sandbox, SandboxError, open_sandbox, parse_setting

log = structlog.get_logger()


class Parts:
    """The store, the sandbox and all that stands on them, open while the lifespan lasts.

    Raises `SettingsError` for settings that make no sense.
    """

    def __init__(self, settings: Settings, client: ServiceClient, ledger: LedgerClient) -> None:
        self._settings = settings
        self._client = client
        self._ledger = ledger
        try:
            parse_setting(settings.sandbox)
            self._toolchain = Toolchain(settings.tool_folders)
            self._remotes = parse_remotes(settings.push)
        except (BadSetting, ValueError) as error:
            raise SettingsError(str(error)) from error
        self._found = "not opened"
        self._store: Store | None = None
        self._queue: MergeQueue | None = None
        self._judging: Judging | None = None
        self._forecast: Forecast | None = None
        self._pusher: Pusher | None = None

    @property
    def queue(self) -> MergeQueue:
        """The merge queue. Raises RuntimeError outside the lifespan."""
        if self._queue is None:
            raise RuntimeError("the service is not running")
        return self._queue

    @property
    def judging(self) -> Judging:
        """What is asked of gates and merges. Raises RuntimeError outside the lifespan."""
        if self._judging is None:
            raise RuntimeError("the service is not running")
        return self._judging

    @property
    def forecast(self) -> Forecast:
        """The merge weather. Raises RuntimeError outside the lifespan."""
        if self._forecast is None:
            raise RuntimeError("the service is not running")
        return self._forecast

    @property
    def pusher(self) -> Pusher:
        """What pushes mainlines. Raises RuntimeError outside the lifespan."""
        if self._pusher is None:
            raise RuntimeError("the service is not running")
        return self._pusher

    @property
    def store(self) -> Store:
        """The store. Raises RuntimeError outside the lifespan."""
        if self._store is None:
            raise RuntimeError("the service is not running")
        return self._store

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Hold everything for as long as the context is open."""
        settings = self._settings
        sandbox, refusal = await _sandbox(settings.sandbox)
        self._found = sandbox.tier.value if sandbox is not None else f"refused: {refusal}"
        scratch = await asyncio.to_thread(Scratch.open, Path(settings.home) / "integration")
        store = self._store = await Store.open(settings.database_url.reveal(), settings.pool_size)
        theaters = Theaters(self._client)
        runner = GateRunner(store, scratch, sandbox, refusal, self._toolchain, settings.gates_at_once)
        proofs = Proofs(store, runner, settings.proof_seconds)
        escalations = Escalations(self._ledger, settings.garrison_id)
        self._queue = MergeQueue(self._ledger, theaters, store, runner, proofs, escalations)
        self._judging = Judging(self._ledger, theaters, store, runner, proofs, self._queue)
        self._forecast = Forecast(self._ledger, theaters, escalations)
        self._pusher = Pusher(
            theaters,
            escalations,
            self._remotes,
            token_file=settings.push_token_file,
            ssh_key_file=settings.push_ssh_key_file,
            known_hosts_file=settings.push_known_hosts_file,
        )
        try:
            yield
        finally:
            await store.close()
            await asyncio.to_thread(scratch.close)
            self._store = self._queue = self._judging = self._forecast = self._pusher = None

    def facts(self) -> dict[str, str]:
        """Return what was found about this machine."""
        return {"sandbox": self._found}

    async def ping(self) -> None:
        """Raise `Unavailable` when the database is away."""
        await self.store.ping()

    async def forget(self) -> None:
        """Drop verdicts and outputs that are past their retention."""
        await self.store.forget(datetime.now(UTC) - timedelta(days=self._settings.verdict_retention_days))


async def _sandbox(setting: str) -> tuple[Sandbox | None, str]:
    """Return the sandbox, or why there is none: then gates with commands cannot run, and merges say so."""
    try:
        sandbox, _ = await open_sandbox(setting or None)
    except SandboxError as refused:
        log.warning("no sandbox, so no gate runs a command", reason=refused.message)
        return None, refused.message
    log.info("sandbox", tier=sandbox.tier)
    return sandbox, ""
