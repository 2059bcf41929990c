"""A cheap generator of load: requests that are all but made, sent over kept connections, answers counted.

It shares the cores with what it measures, so it does as little as it can, and the same on both sides.
"""

import asyncio
import itertools
import re
import time
from collections.abc import Iterator

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def post(path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
    """Return a whole POST as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


NUMBER = "0" * 16
"""Stands in a body for the number of the request, which makes the ids in it its own."""

_numbers = itertools.count(1)


def numbered(request: bytes) -> Iterator[bytes]:
    """Return a request again and again, each with a number that no other request has."""
    before, *after = request.split(NUMBER.encode())
    for number in _numbers:
        yield (b"%016d" % number).join((before, *after))


class _Connection(asyncio.Protocol):
    """Sends the next request when the answer to the last one is whole."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self._requests = requests
        self._until = until
        self._buffer = b""
        self.answered = 0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head = buffer.find(b"\r\n\r\n")
        length = _LENGTH.search(buffer, 0, head) if head >= 0 else None
        if length is None or len(buffer) < head + 4 + int(length[1]):
            self._buffer = buffer
            return
        self._buffer = b""
        if not buffer.startswith(b"HTTP/1.1 200"):
            self._end(SystemExit(f"refused: {buffer[:600]!r}"))
            return
        self.answered += 1
        if time.perf_counter() < self._until:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(SystemExit(f"the connection was closed: {exc}"))

    def _send(self) -> None:
        self._transport.write(next(self._requests))

    def _end(self, failure: SystemExit | None) -> None:
        if self.ended.done():
            return
        if failure is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(failure)
        self._transport.close()


async def rate(port: int, sources: list[Iterator[bytes]], seconds: float) -> float:
    """Return requests answered a second, one connection for each source of requests."""
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    connections = [
        (await loop.create_connection(lambda s=s: _Connection(s, started + seconds), "127.0.0.1", port))[1]
        for s in sources
    ]
    await asyncio.gather(*(connection.ended for connection in connections))
    return sum(connection.answered for connection in connections) / (time.perf_counter() - started)
