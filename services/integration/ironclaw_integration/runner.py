"""Runs a gate's command on a tree, in the sandbox, and remembers what it said."""

import asyncio
import time
from pathlib import Path
from weakref import WeakValueDictionary

import structlog
from msgspec import Struct

import ironclaw_git
from ironclaw_chassis.tracing import span
from ironclaw_contracts.payloads import GateResult
from ironclaw_git import Repository
from ironclaw_integration.definition import MIB, CommandGate, definition_hash
from ironclaw_integration.metrics import GATE_SECONDS, GATES
from ironclaw_integration.scratch import Scratch
from ironclaw_integration.store import KeptVerdict, Key, Store
from ironclaw_integration.toolchain import Toolchain, fingerprint
from ironclaw_integration.verdicts import (
    COULD_NOT_RUN,
    FAILED,
    PASSED,
    Judgement,
    judge_outcome,
    whole_output,
)
from ironclaw_sandbox import BadPolicy, Command, Limits, Outcome, Policy, Sandbox

log = structlog.get_logger()

_PAUSE_SECONDS = (15.0, 600.0)
_PAUSES_MAX = 1_000


class Tree(Struct, frozen=True):
    """A commit to judge, and its tree's hash."""

    commit: str
    tree: str


class Pause(Struct, frozen=True):
    """A gate could not run on a tree: the same answer holds `until`, in monotonic seconds."""

    until: float
    seconds: float
    result: GateResult


class GateRunner:
    """Judges trees. `sandbox` is None where this machine has none; `refusal` says why."""

    def __init__(
        self,
        store: Store,
        scratch: Scratch,
        sandbox: Sandbox | None,
        refusal: str,
        toolchain: Toolchain,
        at_once: int,
    ) -> None:
        self._store = store
        self._scratch = scratch
        self._sandbox = sandbox
        self._refusal = refusal
        self._toolchain = toolchain
        self._slots = asyncio.Semaphore(at_once)
        self._single: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self._pauses: dict[Key, Pause] = {}

    async def tools(self, gate: CommandGate) -> str:
        """Return the name of the tools that a gate runs with now."""
        tier = self._sandbox.tier if self._sandbox is not None else "none"
        return await asyncio.to_thread(fingerprint, self._toolchain, gate.run[0], tier)

    async def judge(self, repository: Repository, tree: Tree, gate: CommandGate) -> GateResult:
        """Return a gate's verdict on a tree; the same tree, definition and tools are judged once."""
        key = Key(tree.tree, definition_hash(gate), await self.tools(gate))
        lock = self._single.setdefault(key, asyncio.Lock())
        async with lock:
            return await self._remembered(key, gate) or await self._fresh(key, repository, tree, gate)

    async def _remembered(self, key: Key, gate: CommandGate) -> GateResult | None:
        pause = self._pauses.get(key)
        if pause is not None and pause.until > time.monotonic():
            return pause.result
        kept = await self._store.verdict(key)
        if kept is None:
            return None
        return GateResult(
            gate=gate.name,
            verdict=kept.verdict,
            detail=kept.detail,
            output=kept.output,
            cached=True,
            flaky=kept.flaky,
        )

    async def _fresh(self, key: Key, repository: Repository, tree: Tree, gate: CommandGate) -> GateResult:
        judged, output, tries = await self.run(repository, tree.commit, gate)
        flaky = judged.verdict == PASSED and tries > 1
        detail = f"{judged.detail}; flaky: it passed at try {tries}" if flaky else judged.detail
        result = GateResult(gate=gate.name, verdict=judged.verdict, detail=detail, output=output, flaky=flaky)
        GATES.labels(gate.name, judged.verdict).inc()
        if judged.verdict == COULD_NOT_RUN:
            self._pause(key, result)
        elif judged.lasting:
            self._pauses.pop(key, None)
            kept = KeptVerdict(verdict=judged.verdict, detail=detail, flaky=flaky, output=output)
            await self._store.keep_verdict(key, gate.name, kept)
        return result

    def _pause(self, key: Key, result: GateResult) -> None:
        """Remember that a gate could not run, each time for longer: what hinders it may pass."""
        before = self._pauses.get(key)
        shortest, longest = _PAUSE_SECONDS
        seconds = shortest if before is None else min(before.seconds * 2, longest)
        if len(self._pauses) >= _PAUSES_MAX:
            self._pauses.pop(next(iter(self._pauses)))
        self._pauses[key] = Pause(time.monotonic() + seconds, seconds, result)

    async def run(
        self, repository: Repository, commit: str, gate: CommandGate
    ) -> tuple[Judgement, str | None, int]:
        """Run a gate's command, again after a failure as often as it allows; nothing is looked up.

        Returns the last judgement, the hash of its output, and how many tries it took.
        """
        judged, output = await self._once(repository, commit, gate)
        tries = 1
        while judged.verdict == FAILED and tries <= gate.retries:
            judged, output = await self._once(repository, commit, gate)
            tries += 1
        return judged, output, tries

    async def _once(
        self, repository: Repository, commit: str, gate: CommandGate
    ) -> tuple[Judgement, str | None]:
        if self._sandbox is None:
            return Judgement(COULD_NOT_RUN, self._refusal), None
        async with self._slots, self._scratch.folder() as folder:
            begun = time.monotonic()
            with (
                span("integration.gate", attributes={"ironclaw.gate": gate.name}),
                GATE_SECONDS.labels(gate.name).time(),
            ):
                await ironclaw_git.export_tree(repository, commit, folder)
                try:
                    outcome = await self._sandbox.run(self._command(gate), self._policy(gate, folder))
                except BadPolicy as problem:
                    return Judgement(COULD_NOT_RUN, problem.message), None
        judged = judge_outcome(gate, outcome)
        log.info(
            "gate run",
            gate=gate.name,
            commit=commit,
            verdict=judged.verdict,
            seconds=round(time.monotonic() - begun, 3),
        )
        return judged, await self._keep(outcome)

    async def _keep(self, outcome: Outcome) -> str | None:
        output = whole_output(outcome)
        return await self._store.keep_output(output) if output else None

    def _command(self, gate: CommandGate) -> Command:
        return Command(
            argv=tuple(gate.run),
            folder=gate.folder,
            environment=gate.environment,
            search_path=self._toolchain.search_path,
        )

    def _policy(self, gate: CommandGate, folder: Path) -> Policy:
        limits = gate.limits
        return Policy(
            worktree=folder,
            readable=self._toolchain.readable,
            limits=Limits(
                wall_seconds=limits.wall_seconds,
                cpu_seconds=limits.cpu_seconds,
                memory_bytes=limits.memory_mib * MIB,
                processes=limits.processes,
                output_bytes=limits.output_kib * 1024,
                written_bytes=limits.disk_mib * MIB,
            ),
        )
