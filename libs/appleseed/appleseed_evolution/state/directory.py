"""The state directory: where every ledger and report lies, and how one writer at a time enters it."""

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from appleseed_evolution.jsontext import JsonObject, to_document
from appleseed_evolution.state.files import make_folder, write_atomically
from appleseed_evolution.state.index import LedgerIndex
from appleseed_evolution.state.ledger import Ledger
from appleseed_evolution.state.lock import exclusive
from ironclaw_contracts.errors import Unavailable

LOCK_TIMEOUT_SECONDS = 10.0
_NOTICES_MAX = 100


class Extent(Struct, frozen=True, kw_only=True):
    """How far the ledgers reach, in bytes; ledgers only grow, so this names their content for good."""

    events: int = 0
    envelopes: int = 0
    projected_feedback: int = 0
    journal: int = 0


class StateDirectory:
    """The folder of one Appleseed state. `notices` gathers what was found amiss and mended, in words.

    Methods raise `OSError` when the disk fails, and `Unavailable` when another process keeps the lock.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = Ledger(path / "events.jsonl")
        self.envelopes = Ledger(path / "runtime_event_envelopes.jsonl")
        self.projected_feedback = Ledger(path / "projected_feedback.jsonl")
        self.workflow_history = Ledger(path / "workflow_history.jsonl")
        self.journal = Ledger(path / "intake_journal.jsonl")
        self.promotions = Ledger(path / "promotions.jsonl")
        self.workflow_state = path / "latest_workflow_state.json"
        self.reports = path / "reports"
        self.received = path / "received_payloads"
        self.kept_skills = path / "kept_skills"
        self.set_aside = path / "set_aside"
        self.index = LedgerIndex(self.journal, self.envelopes, self.projected_feedback)
        self.notices: list[str] = []
        self._threads = threading.Lock()

    @contextmanager
    def locked(self, timeout_seconds: float = LOCK_TIMEOUT_SECONDS) -> Generator[None]:
        """Hold the directory for writing, mended: nothing torn, nothing of the journal missing.

        Not to be entered again by the thread that holds it.
        """
        make_folder(self.path)
        deadline = time.monotonic() + timeout_seconds
        if not self._threads.acquire(timeout=timeout_seconds):
            raise Unavailable(f"other calls hold {self.path}; try again when they are done")
        try:
            left = max(0.0, deadline - time.monotonic())
            with exclusive(self.path / ".lock", timeout_seconds=left):
                self._mend()
                yield
        finally:
            self._threads.release()

    def extent(self) -> Extent:
        """Return how far the ledgers reach between two writers: what is read up to there fits together."""
        with self.locked():
            return Extent(
                events=self.events.size(),
                envelopes=self.envelopes.size(),
                projected_feedback=self.projected_feedback.size(),
                journal=self.journal.size(),
            )

    def objects(self, ledger: Ledger, until_offset: int | None = None) -> Iterator[JsonObject]:
        """Yield a ledger's objects; a damaged line is told in `notices` and passed over."""
        for line in ledger.read(until_offset=until_offset):
            if line.value is None:
                self.notice(f"{ledger.path.name}: line {line.number} is damaged and was passed over")
            else:
                yield line.value

    def notice(self, text: str) -> None:
        """Remember what was found amiss, once; the first hundred are enough to act on."""
        if text not in self.notices and len(self.notices) < _NOTICES_MAX:
            self.notices.append(text)

    def write_report(self, name: str, document: JsonObject) -> Path:
        """Write a report whole, and return where it lies."""
        path = self.reports / name
        write_atomically(path, to_document(document).encode())
        return path

    def write_page(self, name: str, text: str) -> Path:
        """Write a report for people whole, and return where it lies."""
        path = self.reports / name
        write_atomically(path, text.encode("utf-8", "backslashreplace"))
        return path

    def _mend(self) -> None:
        for ledger in (
            self.journal,
            self.envelopes,
            self.projected_feedback,
            self.events,
            self.workflow_history,
            self.promotions,
        ):
            done = ledger.repair(self.set_aside)
            if done is not None:
                self.notice(done)
        missing = self.index.refresh()
        if not missing.envelopes and not missing.projections:
            return
        try:
            self.envelopes.append(missing.envelopes)
            self.projected_feedback.append(missing.projections)
        except OSError:
            self.index.forget()
            raise
        self.notice(
            f"an intake that was cut short was completed from the journal:"
            f" {len(missing.envelopes)} envelopes, {len(missing.projections)} feedback records"
        )
        self.index.refresh()
