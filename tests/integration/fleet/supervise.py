"""A supervisor in a process of its own, for tests that take its rights away or kill it.

Arguments: a state directory, and what to run: `postgres`, `family` (a child with a child of its own), or
`forks` (a child of the fork server).
Prints one line of JSON when all is ready, then waits to be ended.
"""

import asyncio
import json
import signal
import sys
from pathlib import Path

from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.forking import ForkServer
from ironclaw_fleet.ports import free_port
from ironclaw_fleet.process import ProcessSpec
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_fleet.supervisor import Supervisor


async def main(state: StateDirectory, what: str) -> None:
    state.create()
    supervisor = Supervisor()
    said: dict[str, str | int | None] = {}
    if what == "postgres":
        server = EmbeddedPostgres(state, free_port())
        await asyncio.to_thread(server.prepare)
        supervisor.add(server.spec())
        said["url"] = server.url("postgres")
    elif what == "forks":
        server = ForkServer((), {"PYTHONUNBUFFERED": "1"}, state.logs / "forkserver.log")
        supervisor.add(server.spec())
        log = state.logs / "forked.log"

        async def serves() -> bool:
            return "Serving" in log.read_text()

        argv = [sys.executable, "-m", "http.server", str(free_port())]
        supervisor.add(
            ProcessSpec(
                name="forked",
                argv=argv,
                env={},
                log_path=log,
                ready=serves,
                depends_on=("forkserver",),
                start=server.start,
            )
        )
    else:
        grandchild = state.run / "grandchild"

        async def ready() -> bool:
            return grandchild.exists() and grandchild.read_text().strip().isdecimal()

        supervisor.add(
            ProcessSpec(
                name="family",
                argv=["/bin/sh", "-c", f"sleep 300 & echo $! > '{grandchild}'; wait"],
                env={"PATH": "/usr/bin:/bin"},
                log_path=state.logs / "family.log",
                ready=ready,
            )
        )
    await supervisor.wait_ready()
    if what == "family":
        said["grandchild"] = int((state.run / "grandchild").read_text())
    said["child"] = supervisor.states()[-1].pid
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    await ending.wait()
    await supervisor.stop()


if __name__ == "__main__":
    asyncio.run(main(StateDirectory(Path(sys.argv[1])), sys.argv[2]))
