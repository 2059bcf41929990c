"""What the ledgers hold, by id: kept in memory, and brought up to date from where it last stood."""

from collections.abc import Iterator

from msgspec import Struct

from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.state.ledger import Ledger


class Missing(Struct, frozen=True):
    """What the journal has and the ledgers lack, because a writer was stopped in between."""

    envelopes: list[JsonObject]
    projections: list[JsonObject]


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
        for envelope in self._news(self._envelopes):
            self.envelope_ids.add(str(envelope.get("envelope_id")))
        for record in self._news(self._projections):
            self.projection_ids.add(str(record.get("projection_id")))
            self.projected_envelope_ids.add(str(record.get("source_envelope_id")))
        missing = Missing([], [])
        for line in self._news(self._journal):
            missing.envelopes.extend(
                e for e in line.get("envelopes", []) if e["envelope_id"] not in self.envelope_ids
            )
            missing.projections.extend(
                r
                for r in line.get("projected_feedback", [])
                if r["source_envelope_id"] not in self.projected_envelope_ids
            )
        return missing

    def forget(self) -> None:
        """Read everything again the next time: what was found missing could not be written."""
        self._clear()

    def _was_replaced(self, ledger: Ledger) -> bool:
        inode, offset = self._stood[ledger]
        try:
            found = ledger.path.stat()
        except FileNotFoundError:
            return True
        return found.st_ino != inode or found.st_size < offset

    def _news(self, ledger: Ledger) -> Iterator[JsonObject]:
        if not ledger.path.exists():
            return
        inode = ledger.path.stat().st_ino
        _, offset = self._stood.get(ledger, (inode, 0))
        for line in ledger.read(offset):
            offset = line.end_offset
            if line.value is not None:
                yield line.value
        self._stood[ledger] = (inode, offset)
