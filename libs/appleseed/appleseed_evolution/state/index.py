"""What the ledgers hold, by id: kept in memory, and brought up to date from where it last stood."""

from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.state.ledger import Ledger, parse_line

T = TypeVar("T", bound=Struct)


class Missing(Struct, frozen=True):
    """What the journal has and the ledgers lack, because a writer was stopped in between."""

    envelopes: list[JsonObject]
    projections: list[JsonObject]


class _EnvelopeId(Struct, frozen=True):
    """Of an envelope, the part that is indexed; so of the other lines."""

    envelope_id: str = ""


class _RecordIds(Struct, frozen=True):
    projection_id: str = ""
    source_envelope_id: str = ""


class _Intake(Struct, frozen=True):
    envelopes: tuple[_EnvelopeId, ...] = ()
    projected_feedback: tuple[_RecordIds, ...] = ()


class LedgerIndex:
    """The ids in the ledgers. Every method is for whoever holds the state directory's lock."""

    def __init__(self, journal: Ledger, envelopes: Ledger, projections: Ledger) -> None:
        self._journal, self._envelopes, self._projections = journal, envelopes, projections
        self._clear()

    def _clear(self) -> None:
        self._stood: dict[Ledger, tuple[int, int]] = {}
        self.envelope_ids: set[str] = set()
        self.projection_ids: set[str] = set()
        self.projected_envelope_ids: set[str] = set()

    def refresh(self) -> Missing:
        """Read what was appended since the last time, and compare it with the journal.

        A writer writes its journal line before the lines of the ledgers; so whatever a crash keeps from the
        ledgers is found here.
        """
        if any(self._was_replaced(ledger) for ledger in self._stood):
            self._clear()
        for envelope, _ in self._news(self._envelopes, _EnvelopeId):
            self.envelope_ids.add(envelope.envelope_id)
        for record, _ in self._news(self._projections, _RecordIds):
            self.projection_ids.add(record.projection_id)
            self.projected_envelope_ids.add(record.source_envelope_id)
        missing = Missing([], [])
        for intake, raw in self._news(self._journal, _Intake):
            self._compare(intake, raw, missing)
        return missing

    def forget(self) -> None:
        """Read everything again the next time: what was found missing could not be written."""
        self._clear()

    def _compare(self, intake: _Intake, raw: bytes, missing: Missing) -> None:
        envelopes = [e.envelope_id not in self.envelope_ids for e in intake.envelopes]
        projections = [
            r.source_envelope_id not in self.projected_envelope_ids for r in intake.projected_feedback
        ]
        line = parse_line(raw) if any(envelopes) or any(projections) else None
        if line is not None:
            missing.envelopes.extend(_chosen(line["envelopes"], envelopes))
            missing.projections.extend(_chosen(line["projected_feedback"], projections))

    def _was_replaced(self, ledger: Ledger) -> bool:
        inode, offset = self._stood[ledger]
        try:
            found = ledger.path.stat()
        except FileNotFoundError:
            return True
        return found.st_ino != inode or found.st_size < offset

    def _news(self, ledger: Ledger, kind: type[T]) -> Iterator[tuple[T, bytes]]:
        """Yield what is indexed of each line that is new; a damaged line holds nothing."""
        if not ledger.path.exists():
            return
        inode = ledger.path.stat().st_ino
        _, end = self._stood.get(ledger, (inode, 0))
        decoder = msgspec.json.Decoder(kind)
        for end_offset, raw in ledger.read_raw(end):
            end = end_offset
            found = _decoded(decoder, kind, raw)
            if found is not None:
                yield found, raw
        self._stood[ledger] = (inode, end)


def _decoded(decoder: msgspec.json.Decoder[T], kind: type[T], raw: bytes) -> T | None:
    try:
        return decoder.decode(raw)  # reads only what is indexed, which makes a large ledger quick to open
    except msgspec.DecodeError:
        pass
    try:
        return msgspec.convert(parse_line(raw), kind)  # msgspec refuses unpaired surrogates; senders do not
    except msgspec.ValidationError:
        return None


def _chosen(items: list[Any], wanted: list[bool]) -> list[JsonObject]:
    return [item for item, is_wanted in zip(items, wanted, strict=True) if is_wanted]
