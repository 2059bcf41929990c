"""Run processes in the order of their dependencies, start what dies again, stop them in reverse."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ironclaw_fleet.backoff import delay, failures_after
from ironclaw_fleet.guardian import Guardian
from ironclaw_fleet.logfile import rotate
from ironclaw_fleet.process import Phase, Process, ProcessSpec, ProcessState, end, spawn

log = structlog.get_logger()

_PROBE_SECONDS = 0.03
_PROBE_SECONDS_MAX = 5.0
_ROTATE_SECONDS = 5.0


class NotReady(Exception):
    """A process did not become ready in time; the message names it and its log."""


class _Child:
    """One process that is looked after."""

    def __init__(self, spec: ProcessSpec) -> None:
        self.spec = spec
        self.state = ProcessState(spec.name, Phase.WAITING, datetime.now(UTC))
        self.ready = asyncio.Event()
        self.settled = asyncio.Event()  # ready, or it cannot be started
        self.process: Process | None = None


class Supervisor:
    """Owns child processes. `changed` hears of every change of state."""

    def __init__(self, changed: Callable[[ProcessState], None] | None = None) -> None:
        self._changed = changed
        self._children: dict[str, _Child] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._guardian = Guardian()
        self._hurry = asyncio.Event()

    def states(self) -> list[ProcessState]:
        """Return every process as it stands, in the order of starting."""
        return [child.state for child in self._children.values()]

    def add(self, spec: ProcessSpec) -> None:
        """Start looking after a process; it starts once what it depends on is ready.

        Raises `ValueError` for a name that is taken, and for a dependency that was not added before: so
        there can be no cycle.
        """
        if spec.name in self._children:
            raise ValueError(f"there is a process {spec.name} already; give this one another name")
        unknown = [name for name in spec.depends_on if name not in self._children]
        if unknown:
            raise ValueError(f"{spec.name} depends on {', '.join(unknown)}: add that first")
        child = self._children[spec.name] = _Child(spec)
        self._set(child, Phase.WAITING)
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._rotate_logs(), name="rotate-logs"))
        self._tasks.append(asyncio.create_task(self._keep(child), name=f"keep-{spec.name}"))

    async def wait_ready(self, *names: str) -> None:
        """Wait until processes are ready. Raises `NotReady` naming the first that is not in its time."""
        for name in names or tuple(self._children):
            child = self._children[name]
            spec = child.spec
            try:
                async with asyncio.timeout(spec.ready_seconds):
                    await child.settled.wait()
            except TimeoutError:
                ends = f", it ended {child.state.restarts} times" if child.state.restarts else ""
                raise NotReady(
                    f"{name} is not ready after {spec.ready_seconds:g} s{ends}; see {spec.log_path}"
                ) from None
            if child.state.phase is Phase.FAILED:
                raise NotReady(f"{name} cannot be started: {child.state.detail}")

    async def stop(self) -> None:
        """Stop everything, dependents first; each has its `stop_seconds`, then its whole group is killed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        left = dict(self._children)
        while left:
            needed = {name for child in left.values() for name in child.spec.depends_on}
            free = [name for name in left if name not in needed]
            await asyncio.gather(*(self._end(left[name]) for name in free))
            for name in free:
                del left[name]
        self._guardian.close()

    def hurry(self) -> None:
        """Cut the waits of a stop short and kill what is left: for a second Ctrl-C."""
        self._hurry.set()

    def kill(self, name: str, number: int) -> None:
        """Send a signal to one process, as a fault would."""
        process = self._children[name].process
        if process is not None:
            process.send_signal(number)

    async def _keep(self, child: _Child) -> None:
        failures = restarts = 0
        loop = asyncio.get_running_loop()
        while True:
            for name in child.spec.depends_on:
                await self._children[name].ready.wait()
            started, was_ready = loop.time(), False
            try:
                process = child.process = await (child.spec.start or spawn)(child.spec)
            except OSError as error:
                log.error("process cannot be started", process=child.spec.name, cause=str(error))
                self._set(child, Phase.FAILED, restarts=restarts, detail=str(error))
                child.settled.set()
            else:
                self._guardian.watch(process.pid)
                was_ready = await self._live(child, process, restarts)
                restarts += 1
                log.warning(
                    "process ended", process=child.spec.name, exit_code=process.returncode, restarts=restarts
                )
                self._set(child, Phase.BACKOFF, restarts=restarts, exit_code=process.returncode)
                await end(process, child.spec.stop_signal, 0)
                self._guardian.forget(process.pid)
                child.process = None  # reaped: its number may soon be somebody else's
            failures = failures_after(failures, loop.time() - started)
            await asyncio.sleep(delay(failures, was_ready=was_ready))

    async def _live(self, child: _Child, process: Process, restarts: int) -> bool:
        """Return when the process ended, and whether it had become ready."""
        self._set(child, Phase.STARTING, process.pid, restarts)
        child.settled.clear()
        probing = asyncio.create_task(self._probe(child, process.pid, restarts))
        try:
            await process.wait()
        finally:
            probing.cancel()
        was_ready = child.ready.is_set()
        child.ready.clear()
        child.settled.clear()
        return was_ready

    async def _probe(self, child: _Child, pid: int, restarts: int) -> None:
        while not await _answers(child.spec):
            await asyncio.sleep(_PROBE_SECONDS)
        self._set(child, Phase.READY, pid, restarts)
        child.ready.set()
        child.settled.set()

    async def _end(self, child: _Child) -> None:
        process, spec, last = child.process, child.spec, child.state
        code = last.exit_code
        if process is not None:
            await end(process, spec.stop_signal, spec.stop_seconds, self._hurry)
            self._guardian.forget(process.pid)
            child.process, code = None, process.returncode
        self._set(child, Phase.STOPPED, restarts=last.restarts, exit_code=code)

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(_ROTATE_SECONDS)
            for child in tuple(self._children.values()):
                try:
                    await asyncio.to_thread(rotate, child.spec.log_path)
                except OSError as error:  # a full disk must not end the rotation for good
                    log.warning("log not rotated", process=child.spec.name, cause=str(error))

    def _set(
        self,
        child: _Child,
        phase: Phase,
        pid: int | None = None,
        restarts: int = 0,
        exit_code: int | None = None,
        detail: str = "",
    ) -> None:
        child.state = ProcessState(
            child.spec.name, phase, datetime.now(UTC), pid, restarts, exit_code, detail
        )
        if self._changed is not None:
            self._changed(child.state)


async def _answers(spec: ProcessSpec) -> bool:
    """Ask a process whether it is ready; a probe that breaks or hangs means "not yet", never "never"."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS_MAX):
            return await spec.ready()
    except Exception as error:
        log.warning("probe failed", process=spec.name, cause=repr(error))
        await asyncio.sleep(1)
        return False
