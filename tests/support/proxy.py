"""A proxy on loopback that does harm: it goes dark, resets, delays, or swallows what matches."""

import asyncio
import contextlib
import threading
from typing import Literal

Mode = Literal["pass", "dark", "reset"]


class Proxy:
    """Forwards connections to a port while the context is open. `swallow` are bytes of requests to lose."""

    def __init__(
        self, target: int, *, delay: float = 0.0, swallow: bytes | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.mode: Mode = "pass"
        self.delay = delay
        self.host = host
        self.port = 0
        self.target = target
        self._swallow = swallow
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """Where the proxy listens."""
        return f"http://{self.host}:{self.port}"

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, self.host, self.port))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream, downstream = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            self._pump(reader, downstream, requests=True), self._pump(upstream, writer, requests=False)
        )

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, requests: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                if self.mode == "reset":
                    writer.transport.abort()
                    return
                if self.mode == "dark" or (requests and self._swallow and self._swallow in chunk):
                    continue  # half open: the bytes are gone and nobody hears of it
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(chunk)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()
