"""An append-only ledger: JSON Lines, one object a line, fsynced.

A line counts from the moment its line end is written. What a crash leaves after the last line end is torn: a
reader passes over it (another process may be writing it), and the next writer sets it aside.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from appleseed_evolution.jsontext import JsonObject, is_object, parse, to_line
from appleseed_evolution.state.files import sha256, sync_folder, write_all, write_atomically
from ironclaw_contracts.errors import BadRequest

_STORED_DEPTH_MAX = 128  # what may come in, and the envelopes that we put around it


class Line(Struct, frozen=True):
    """A line and where it ends, in bytes; `value` is None when the line is damaged."""

    number: int
    end_offset: int
    value: JsonObject | None


class Ledger:
    """One ledger file. Writing is for whoever holds the state directory's lock; reading is for anyone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, objects: Iterable[JsonObject]) -> None:
        """Write the objects and return when they are durable. Raises `OSError`; nothing was written then."""
        content = "".join(to_line(value) + "\n" for value in objects).encode()
        if not content:
            return
        is_new = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, content)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self.path.parent)

    def read(self, after_offset: int = 0, until_offset: int | None = None) -> Iterator[Line]:
        """Yield the whole lines between two offsets that earlier lines' `end_offset` gave.

        Line numbers count from the first of them.
        """
        for number, (offset, raw) in enumerate(self.read_raw(after_offset), start=1):
            if until_offset is not None and offset > until_offset:
                return
            yield Line(number, offset, parse_line(raw))

    def read_raw(self, after_offset: int = 0) -> Iterator[tuple[int, bytes]]:
        """Yield where each whole line after an offset ends, and its bytes."""
        if not self.path.exists():
            return
        offset = after_offset
        with self.path.open("rb") as file:
            file.seek(offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    return
                offset += len(raw)
                yield offset, raw

    def size(self) -> int:
        """Return how many bytes the ledger has; 0 when it was never written."""
        return self.path.stat().st_size if self.path.exists() else 0

    def repair(self, aside: Path) -> str | None:
        """Mend what a crash left after the last line end, and return what was done about it.

        A tail that is a whole object gets its line end; any other is moved to a file of its own in `aside`.
        """
        if not self.path.exists():
            return None
        with self.path.open("r+b") as file:
            start = _tail_start(file.fileno())
            tail = os.pread(file.fileno(), os.fstat(file.fileno()).st_size - start, start)
            if not tail:
                return None
            if parse_line(tail) is not None:
                os.pwrite(file.fileno(), b"\n", start + len(tail))
                os.fsync(file.fileno())
                return f"{self.path.name}: the last line was whole but for its line end, which was added"
            # The name is derived, so that a crash between the two steps leaves one copy, not two.
            kept = aside / f"{self.path.name}.at-{start}-{sha256(tail)[:12]}"
            write_atomically(kept, tail)
            os.ftruncate(file.fileno(), start)
            os.fsync(file.fileno())
        return f"{self.path.name}: a torn last line of {len(tail)} bytes was set aside as {kept}"


def parse_line(raw: bytes) -> JsonObject | None:
    """Return the object that a line holds; None when the line is damaged."""
    try:
        value = parse(raw, depth_max=_STORED_DEPTH_MAX)
    except BadRequest:
        return None
    return value if is_object(value) else None


def _tail_start(descriptor: int, block_bytes: int = 65_536) -> int:
    """Return the offset behind the last line end."""
    end = os.fstat(descriptor).st_size
    while end > 0:
        start = max(0, end - block_bytes)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
