"""Run processes in the order of their dependencies, start what dies again, stop them in reverse."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from ironclaw_fleet.process import Phase, ProcessSpec, ProcessState, end, spawn

log = structlog.get_logger()

_PROBE_SECONDS = 0.03
_BACKOFF_SECONDS = (0.2, 10.0)
_STABLE_SECONDS = 30.0


def backoff(failures: int) -> float:
    """Return how long to wait before the next start after so many failures in a row, in seconds."""
    shortest, longest = _BACKOFF_SECONDS
    return min(shortest * 2 ** max(0, failures - 1), longest)


class NotReady(Exception):
    """A process did not become ready in time; the message names it and its log."""


class Supervisor:
    """Owns child processes. `changed` hears of every change of state."""

    def __init__(self, changed: Callable[[ProcessState], None] | None = None) -> None:
        self._changed = changed
        self._specs: dict[str, ProcessSpec] = {}
        self._states: dict[str, ProcessState] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    def states(self) -> list[ProcessState]:
        """Return every process as it stands, in the order of starting."""
        return list(self._states.values())

    def add(self, spec: ProcessSpec) -> None:
        """Start looking after a process; it starts once what it depends on is ready."""
        self._specs[spec.name] = spec
        self._ready[spec.name] = asyncio.Event()
        self._set(spec.name, Phase.WAITING)
        self._tasks[spec.name] = asyncio.create_task(self._keep(spec), name=f"keep-{spec.name}")

    async def wait_ready(self, *names: str) -> None:
        """Wait until processes are ready. Raises `NotReady` naming the first that is not in its time."""
        for name in names or tuple(self._specs):
            spec = self._specs[name]
            try:
                async with asyncio.timeout(spec.ready_seconds):
                    await self._ready[name].wait()
            except TimeoutError:
                raise NotReady(
                    f"{name} is not ready after {spec.ready_seconds:g} s; see {spec.log_path}"
                ) from None

    async def stop(self) -> None:
        """Stop everything, dependents first."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        left = dict(self._specs)
        while left:
            needed = {name for spec in left.values() for name in spec.depends_on}
            free = [name for name in left if name not in needed] or list(left)
            await asyncio.gather(*(self._end(name) for name in free))
            for name in free:
                del left[name]

    def kill(self, name: str, number: int) -> None:
        """Send a signal to one process, as a fault would."""
        self._processes[name].send_signal(number)

    async def _keep(self, spec: ProcessSpec) -> None:
        for name in spec.depends_on:
            await self._ready[name].wait()
        failures = restarts = 0
        while True:
            started = asyncio.get_running_loop().time()
            process = self._processes[spec.name] = await spawn(spec)
            self._set(spec.name, Phase.STARTING, process.pid, restarts)
            probing = asyncio.create_task(self._probe(spec, process.pid, restarts))
            try:
                code = await process.wait()
            finally:
                probing.cancel()
            self._ready[spec.name].clear()
            lived = asyncio.get_running_loop().time() - started
            failures = 1 if lived > _STABLE_SECONDS else failures + 1
            restarts += 1
            self._set(spec.name, Phase.BACKOFF, None, restarts, code)
            log.warning("process ended", process=spec.name, exit_code=code, restarts=restarts)
            await end(process, spec.stop_signal, 0)
            await asyncio.sleep(backoff(failures))

    async def _probe(self, spec: ProcessSpec, pid: int, restarts: int) -> None:
        while not await spec.ready():
            await asyncio.sleep(_PROBE_SECONDS)
        self._set(spec.name, Phase.READY, pid, restarts)
        self._ready[spec.name].set()

    async def _end(self, name: str) -> None:
        process = self._processes.get(name)
        if process is not None:
            spec = self._specs[name]
            await end(process, spec.stop_signal, spec.stop_seconds)
            self._set(name, Phase.STOPPED, None, self._states[name].restarts, process.returncode)

    def _set(
        self, name: str, phase: Phase, pid: int | None = None, restarts: int = 0, exit_code: int | None = None
    ) -> None:
        state = ProcessState(name, phase, datetime.now(UTC), pid, restarts, exit_code)
        self._states[name] = state
        if self._changed is not None:
            self._changed(state)
