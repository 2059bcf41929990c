"""Run the fleet on this machine: up, down, status, logs, serve."""

import asyncio
import importlib.util
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import SERVICE_PORTS, Service
from ironclaw_fleet.cli.dotenv import with_dotenv
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, print_table, say
from ironclaw_fleet.cli.session import EXIT_REFUSED, EXIT_USAGE, Failed, gateway
from ironclaw_fleet.process import Phase, ProcessState
from ironclaw_fleet.statedir import FleetRuns, StateDirectory

if TYPE_CHECKING:
    from ironclaw_fleet.local import LocalFleet

_STOP_SECONDS = 20.0
_START_SECONDS = 90.0
_WORKERS_MAX = 64
_PORT_BASE_MAX = 65_000  # the services and workers take the ports after it
_INTERRUPTED = 130

PortBase = Annotated[
    int, Parameter(env_var="IRONCLAW_PORT_BASE", validator=Number(gte=1_024, lte=_PORT_BASE_MAX))
]
Workers = Annotated[int, Parameter(validator=Number(gte=0, lte=_WORKERS_MAX))]
Lines = Annotated[int, Parameter(validator=Number(gte=0, lte=100_000))]


@asynccontextmanager
async def running_fleet(
    state: StateDirectory,
    *,
    port_base: int,
    workers: int,
    allowed_roots: tuple[Path, ...] = (),
    quiet: bool = False,
) -> AsyncGenerator["LocalFleet"]:
    """Hold the state directory and run a fleet on it while the context is open.

    Raises `Failed` with the next step when it cannot start.
    """
    from ironclaw_fleet.embedded.binaries import NoBinaries
    from ironclaw_fleet.embedded.postgres import DataMismatch
    from ironclaw_fleet.local import FleetOptions, LocalFleet, StartFailed
    from ironclaw_fleet.ports import NoFreePorts
    from ironclaw_fleet.supervisor import NotReady

    _create(state)
    environ = with_dotenv(os.environ, Path(".env"))
    options = FleetOptions(port_base=port_base, workers=workers, allowed_roots=allowed_roots)
    fleet = LocalFleet(state, options, environ, None if quiet else _report)
    try:
        with state.held():
            try:
                await fleet.start()
                yield fleet
            finally:
                await fleet.stop()
    except FleetRuns as error:
        raise Failed(str(error), EXIT_USAGE) from error
    except (StartFailed, NoFreePorts, NotReady, NoBinaries, DataMismatch, PermissionError) as error:
        raise Failed(str(error)) from error


def _create(state: StateDirectory) -> None:
    try:
        state.create()
    except OSError as error:
        raise Failed(
            f"{state.path} cannot hold a fleet ({error.strerror}); set IRONCLAW_HOME to a folder of yours",
            EXIT_USAGE,
        ) from error


def _report(state: ProcessState) -> None:
    if state.phase in {Phase.READY, Phase.BACKOFF}:
        detail = (
            f"exit code {state.exit_code}, starting again"
            if state.phase is Phase.BACKOFF
            else f"pid {state.pid}"
        )
        say(f"{state.name:<14} {state.phase:<8} {detail}")


async def up(
    *,
    port_base: PortBase = SERVICE_PORTS[Service.API_GATEWAY],
    workers: Workers = 1,
    allow: list[Path] | None = None,
    detach: bool = False,
) -> None:
    """Run the fleet in the foreground until Ctrl-C.

    Args:
        port_base: Port of the gateway; the other services take those after it.
        workers: How many worker processes to run; 0 where all of them are on other machines.
        allow: Folders under which theaters may be opened on your own repositories.
        detach: Run in the background; stop it with `ironclaw down`.
    """
    state = StateDirectory.locate()
    if detach:
        _start_in_background(state)
        return
    roots = tuple(path.absolute() for path in allow or [])
    started = time.monotonic()
    stopping, task = asyncio.Event(), asyncio.current_task()
    if task is not None:
        _on_signals(task.cancel)  # until it runs there is nothing to stop politely
    try:
        async with running_fleet(state, port_base=port_base, workers=workers, allowed_roots=roots) as fleet:
            _on_signals(lambda: _stop_or_hurry(stopping, fleet))
            say(
                f"\nready in {time.monotonic() - started:.1f} s at {fleet.gateway_url}, state in {state.path}"
            )
            print_table(
                ("process", "state", "pid", "log"),
                [(s.name, s.phase, s.pid, state.logs / f"{s.name}.log") for s in fleet.supervisor.states()],
            )
            for line in welcome(fleet.gateway_url, state.operator_key, sys.argv[0]):
                say(line)
            await stopping.wait()
            say("stopping")
    except asyncio.CancelledError as error:
        raise Failed("interrupted before the fleet was ready; it is stopped", _INTERRUPTED) from error


def welcome(url: str, key: Path, program: str) -> list[str]:
    """Return what to do next, as commands to paste; `program` is how this one was called."""
    shown = os.path.relpath(key) if key.is_relative_to(Path.cwd()) else str(key)
    called = Path(program)
    run = os.path.relpath(called) if called.is_file() and shutil.which(called.name) is None else "ironclaw"
    return [
        "",
        f"  Open     {url}/",
        f"  Sign in  with the key that this prints:  cat {shlex.quote(shown)}",
        f"  Or ask   from another terminal:  {run} chat 'Draft a note about spring floods'",
        "  Stop     Ctrl-C, twice to stop at once",
        "",
    ]


def _on_signals(act: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, act)


def _stop_or_hurry(stopping: asyncio.Event, fleet: "LocalFleet") -> None:
    """Stop at the first signal, without patience at the second."""
    if stopping.is_set():
        fleet.supervisor.hurry()
    stopping.set()


def _start_in_background(state: StateDirectory) -> None:
    holder = state.holder()
    if holder is not None:
        raise Failed(
            f"a fleet runs on {state.path} already (pid {holder}); stop it with: ironclaw down", EXIT_USAGE
        )
    _create(state)
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    log_path = state.logs / "fleet.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ironclaw_fleet", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=os.environ | {"IRONCLAW_HOME": str(state.path)},
        )
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"the fleet did not start: {_last_line(log_path)}; see {log_path}")
        if state.read_fleet() is not None:
            say(f"the fleet runs (pid {process.pid}) on {state.path}")
            return
        time.sleep(0.1)
    raise Failed(f"the fleet is not ready after {_START_SECONDS:g} s; see {log_path}")


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("ironclaw: ") if lines else "it said nothing"


def down() -> None:
    """Stop the fleet that runs on the state directory."""
    state = StateDirectory.locate()
    pid = state.holder()
    if pid is None:
        say(f"no fleet runs on {state.path}")
        return
    try:
        os.kill(pid, signal.SIGTERM)
    except PermissionError as error:
        raise Failed(f"the fleet (pid {pid}) is another user's to stop", EXIT_REFUSED) from error
    deadline = time.monotonic() + _STOP_SECONDS
    while state.holder() is not None or _is_running(pid):
        if time.monotonic() > deadline:
            raise Failed(f"the fleet (pid {pid}) does not stop; see {state.logs}")
        time.sleep(0.05)
    say("stopped")


def _is_running(pid: int) -> bool:
    """Tell whether a process still runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def status(*, options: Options = PLAIN) -> None:
    """Show whether every service is ready."""
    async with gateway() as client:
        found = await client.call(api.FLEET)
    if options.json:
        print_json(found)
    else:
        rows = [("api_gateway", "ready", "ready")]
        rows += [(s.service, "ready" if s.ready else "not ready", s.detail) for s in found.services]
        print_table(("service", "state", "detail"), rows)
    if not all(service.ready for service in found.services):
        raise Failed()


def logs(service: str | None = None, *, lines: Lines = 40, follow: bool = False) -> None:
    """Print the end of the logs.

    Args:
        service: One service, or postgres or valkey; all otherwise.
        lines: How many lines of each.
        follow: Go on printing as they grow.
    """
    folder = StateDirectory.locate().logs
    paths = sorted(path for path in folder.glob("*.log") if service in {None, path.stem})
    if not paths:
        there = ", ".join(sorted(path.stem for path in folder.glob("*.log")))
        known = f"; there are {there}" if there else "; has the fleet run here? Start one with: ironclaw up"
        raise Failed(f"no log{f' of {service}' if service else ''} under {folder}{known}")
    positions: dict[Path, int] = {}
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace").splitlines()
        text = text[len(text) - min(lines, len(text)) :]
        for line in text:
            say(f"{path.stem:<13} {line}" if service is None else line)
        positions[path] = path.stat().st_size
    while follow:
        time.sleep(0.3)
        for path, position in positions.items():
            size = path.stat().st_size
            with path.open("rb") as file:
                file.seek(position if size >= position else 0)
                for line in file.read().decode(errors="replace").splitlines():
                    say(f"{path.stem:<13} {line}" if service is None else line)
                positions[path] = file.tell()


def serve(service: Service) -> None:
    """Run one service in this process, for containers; its settings come from the environment.

    Args:
        service: Which one.
    """
    module = f"ironclaw_{service.value}"
    if importlib.util.find_spec(module) is None:
        raise Failed(f"the service {service} is not installed here; install the package {module}", EXIT_USAGE)
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606 - no shell
