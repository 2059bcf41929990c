"""Answers leave by one system call, and in one packet where they fit: uvicorn writes head and body apart."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HELD_MAX = 64 * 1024


class CorkedProtocol(HttpToolsProtocol):
    """Serves HTTP as uvicorn does, on a corked transport."""

    def connection_made(  # pyright: ignore[reportIncompatibleMethodOverride] - uvicorn narrows it too
        self, transport: asyncio.Transport
    ) -> None:
        """Begin with a connection."""
        super().connection_made(CorkedTransport(transport, self.loop))


class CorkedTransport(asyncio.Transport):
    """Holds what is written until the event loop's next round, or until 64 KiB have come together.

    Nothing is held longer: the head of a stream, which may stay without a body for long, leaves at once.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: Any) -> None:
        """Write bytes, together with what else is written now."""
        if not self._held:
            self._loop.call_soon(self._uncork)
        self._held.append(data)
        self._size += len(data)
        if self._size > _HELD_MAX:
            self._uncork()

    def _uncork(self) -> None:
        held, self._held, self._size = self._held, [], 0
        if held and not self._transport.is_closing():
            self._transport.write(held[0] if len(held) == 1 else b"".join(held))

    def close(self) -> None:
        """Close once all that was written has left."""
        self._uncork()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Have no data come in."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Have data come in again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        return self._transport.get_extra_info(name, default)
