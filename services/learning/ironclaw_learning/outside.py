"""Bring what Appleseed projected from outside sessions to the ledger, each record once.

Appleseed's own files stay the evidence; the ledger gets what routing may learn from. A record counts for the
orders of a run only when its metadata names that run (`run_id`).
"""

import asyncio
from itertools import islice
from typing import Literal

import msgspec
import structlog

from appleseed_evolution.contract import Feedback as SessionFeedback
from appleseed_evolution.contract import ProjectedFeedbackRecord
from appleseed_evolution.evolution.evidence import read_projection
from appleseed_evolution.state.directory import StateDirectory
from appleseed_evolution.state.ledger import Line
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.errors import BadId, BadRequest, EventConflict, NotFound, Problem
from ironclaw_contracts.ids import check_id, derived_event_id
from ironclaw_contracts.payloads import FeedbackRecorded
from ironclaw_contracts.policy import Verdict
from ironclaw_contracts.snapshots import RunView
from ironclaw_learning.feedback import Feedback
from ironclaw_learning.store import Store

log = structlog.get_logger()

CURSOR = "projected_feedback"
_BATCH = 200
_WELL, _BADLY = 0.75, 0.6
"""Appleseed's own bounds: what may become a workflow, and what calls for a change."""


def said(record: ProjectedFeedbackRecord) -> FeedbackRecorded:
    """Return a projected record as feedback."""
    feedback = record.feedback
    comment = feedback.comment if isinstance(feedback.comment, str) else ""
    return FeedbackRecorded(
        verdict=verdict(feedback),
        origin="appleseed",
        by=_clean(record.projection_metadata.runtime_source, 200) or "unknown",
        comment=_clean(comment, 4_000),
        detail={
            "projection_id": _clean(record.projection_id, 200),
            "envelope_id": _clean(record.source_envelope_id, 200),
            "session_id": _clean(feedback.session_id, 200),
            "status": feedback.status,
            "score": feedback.score,
        },
    )


def verdict(feedback: SessionFeedback) -> Verdict | Literal["noted"]:
    """Return what a session's status and score say about its result."""
    if feedback.status == "success" and feedback.score >= _WELL:
        return "accept"
    if feedback.status == "failure" or (feedback.status != "cancelled" and feedback.score < _BADLY):
        return "reject"
    return "noted"


def _clean(text: str, length_max: int) -> str:
    """Return a text as the ledger can keep it: no NUL, no half of a surrogate pair, not too long."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()[:length_max]


class OutsideFeedback:
    """Reads the projected feedback from where it stopped."""

    def __init__(self, state: StateDirectory, ledger: LedgerClient, store: Store, feedback: Feedback) -> None:
        self._state = state
        self._ledger = ledger
        self._store = store
        self._feedback = feedback

    async def bring(self) -> None:
        """Append what is new. A disk or a ledger that is away is told; the next tick goes on from there."""
        try:
            position = await self._store.position(CURSOR)
            if position > await asyncio.to_thread(self._state.projected_feedback.size):
                position = 0  # restored from an older copy: what stands in the ledger is not appended again
            while lines := await asyncio.to_thread(self._read, position):
                for line in lines:
                    await self._record(line)
                position = lines[-1].end_offset
                await self._store.move(CURSOR, position)
        except (Problem, OSError) as error:
            log.warning("projected feedback has to wait", reason=str(error))

    def _read(self, position: int) -> list[Line]:
        return list(islice(self._state.projected_feedback.read(position), _BATCH))

    async def _record(self, line: Line) -> None:
        try:
            record = read_projection(line.value or {})
        except (msgspec.ValidationError, BadRequest) as error:
            log.warning("no projected record", end_offset=line.end_offset, reason=str(error))
            return
        feedback = said(record)
        view = await self._run_of(record.feedback)
        # A bundle brings ids of its own: in ASCII any text names an event, and a UUID stays what it is.
        event_id = derived_event_id("appleseed", ascii(record.projection_id)[1:-1])
        try:
            await self._feedback.record(view, feedback, event_id)
        except EventConflict:
            log.info("recorded before", projection_id=record.projection_id)
        except BadRequest as error:
            log.warning("not recorded", projection_id=record.projection_id, reason=error.message)

    async def _run_of(self, feedback: SessionFeedback) -> RunView | None:
        named = feedback.metadata.get("run_id")
        try:
            return await self._ledger.run(check_id(named, "run_id")) if isinstance(named, str) else None
        except (BadId, NotFound):
            return None
