"""Server-sent events as they go over the wire."""

from collections.abc import AsyncIterator

import pytest

from ironclaw_chassis.sse import Frames, StreamEvent, chunks, frame


def test_given_data_of_several_lines_when_framed_then_each_is_a_field() -> None:
    event = StreamEvent("7", "note", "one\ntwo\r\nthree")
    assert frame(event) == b"id: 7\r\nevent: note\r\ndata: one\r\ndata: two\r\ndata: three\r\n\r\n"


async def test_given_events_that_are_there_at_once_when_sent_then_they_are_one_chunk_in_order() -> None:
    async def three() -> AsyncIterator[StreamEvent | Frames]:
        yield StreamEvent("1", "e", "a")
        yield Frames(b"id: 2\r\n\r\n")
        yield StreamEvent("3", "e", "c")

    first, *rest = [chunk async for chunk in chunks(three())]
    assert first.startswith(b": following")
    assert len(rest) == 1
    assert [line for line in rest[0].split(b"\r\n") if line.startswith(b"id")] == [
        b"id: 1",
        b"id: 2",
        b"id: 3",
    ]


async def test_given_events_that_break_off_when_sent_then_the_error_comes_after_what_was_there() -> None:
    async def breaking() -> AsyncIterator[StreamEvent | Frames]:
        yield StreamEvent("1", "e", "a")
        raise ZeroDivisionError

    seen: list[bytes] = []
    with pytest.raises(ZeroDivisionError):
        async for chunk in chunks(breaking()):
            seen.append(chunk)
    assert b"id: 1" in seen[-1]


async def test_given_a_reader_that_goes_when_the_chunks_are_closed_then_their_source_is() -> None:
    closed: list[bool] = []

    async def endless() -> AsyncIterator[StreamEvent | Frames]:
        try:
            while True:
                yield StreamEvent("1", "e", "x" * 10_000)
        finally:
            closed.append(True)

    reading = chunks(endless())
    await anext(reading)
    await anext(reading)
    await reading.aclose()
    assert closed == [True]
