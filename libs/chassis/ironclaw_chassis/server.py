"""uvicorn, made to sleep while nobody asks: by itself it wakes ten times a second to look at its watch."""

import asyncio
import contextlib
import gc
import sys
import time
from email.utils import formatdate
from types import FrameType

import uvicorn
from litestar.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import ServerState

from ironclaw_chassis.corking import CorkedProtocol
from ironclaw_chassis.eventloop import loop_name

_YOUNG_MAX = 10_000
"""Objects made before the collector looks for cycles among them. Python's 700 are those of a few calls under
way, which it looked through again and again: a fifth of what an append cost."""
_DRAIN_SECONDS = 2  # an open event stream would otherwise hold the shutdown for ever


class _DatedState(ServerState):
    """Gives each answer the headers of its second, made when the first answer of that second is."""

    def __init__(self) -> None:
        self._second = 0
        self._dated: list[tuple[bytes, bytes]] = []
        super().__init__()

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """The `Date` header (RFC 9110, 6.6.1)."""
        second = int(time.time())
        if second != self._second:
            self._second, self._dated = second, [(b"date", formatdate(second, usegmt=True).encode())]
        return self._dated

    @default_headers.setter
    def default_headers(  # pyright: ignore[reportIncompatibleVariableOverride]
        self, _: list[tuple[bytes, bytes]]
    ) -> None:
        """uvicorn begins with none; there are no others."""


class _Server(uvicorn.Server):
    """Waits for a signal rather than asking for one."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state = _DatedState()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leaving = asyncio.Event()

    async def main_loop(self) -> None:
        """Return at the first signal."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._leaving.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take note of a signal, at any point of the program."""
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._leaving.set)


def run_server(app: ASGIApp, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; open requests then get two seconds to end."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop=loop_name(),
        http=CorkedProtocol,
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        timeout_keep_alive=60,
        backlog=512,
    )
    server = _Server(config)
    gc.freeze()  # what was composed lives as long as the process
    gc.set_threshold(_YOUNG_MAX)
    with contextlib.suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)
