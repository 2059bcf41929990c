"""What is written in one round of the event loop leaves together, and nothing stays behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ironclaw_chassis.corking import CorkedTransport

HEAD, BODY = b"h" * 200, b"b" * 300


class Answering(asyncio.Protocol):
    """Answers each piece that comes in, through a corked transport."""

    def __init__(self, answer: Callable[[CorkedTransport], None]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = CorkedTransport(transport, asyncio.get_running_loop())

    def data_received(self, data: bytes) -> None:
        self._answer(self._transport)


class Asking(asyncio.Protocol):
    """Keeps what comes in, piece by piece."""

    def __init__(self) -> None:
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def data_received(self, data: bytes) -> None:
        self.pieces.put_nowait(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pieces.put_nowait(b"")


@asynccontextmanager
async def asking(
    answer: Callable[[CorkedTransport], None],
) -> AsyncIterator[tuple[asyncio.Transport, Asking]]:
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: Answering(answer), "127.0.0.1", 0) as server:
        transport, protocol = await loop.create_connection(Asking, *server.sockets[0].getsockname())
        yield transport, protocol
        transport.close()


async def test_given_head_and_body_when_written_then_they_come_as_one_piece() -> None:
    def answer(transport: CorkedTransport) -> None:
        transport.write(HEAD)
        transport.write(BODY)

    async with asking(answer) as (transport, protocol):
        for _ in range(100):
            transport.write(b"?")
            assert await protocol.pieces.get() == HEAD + BODY


async def test_given_a_head_without_a_body_when_written_then_it_comes_all_the_same() -> None:
    async with asking(lambda transport: transport.write(HEAD)) as (transport, protocol):
        transport.write(b"?")
        assert await protocol.pieces.get() == HEAD


async def test_given_more_than_is_held_when_written_and_closed_then_all_of_it_comes_in_order() -> None:
    pieces = [bytes([n]) * 10_000 for n in range(50)]

    def answer(transport: CorkedTransport) -> None:
        for piece in pieces:
            transport.write(piece)
        transport.close()

    async with asking(answer) as (transport, protocol):
        transport.write(b"?")
        came = b""
        while piece := await protocol.pieces.get():
            came += piece
        assert came == b"".join(pieces)


async def test_given_a_connection_that_is_cut_when_something_is_held_then_it_is_dropped_quietly() -> None:
    faults: list[dict[str, object]] = []
    cut = asyncio.Event()

    def answer(transport: CorkedTransport) -> None:
        transport.write(HEAD)
        transport.abort()
        cut.set()

    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with asking(answer) as (transport, protocol):
        transport.write(b"?")
        await cut.wait()
        assert await protocol.pieces.get() == b""
    assert faults == []
