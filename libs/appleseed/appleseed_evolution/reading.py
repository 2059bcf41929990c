"""Envelopes, read back off the raw ledger."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import NoReturn

from appleseed_evolution.contract import Envelope
from appleseed_evolution.parsing import parse_item
from appleseed_evolution.state.directory import StateDirectory
from ironclaw_contracts.errors import BadRequest

_NEVER = datetime.fromtimestamp(0, UTC)  # a stored envelope has all its instants


def read_envelopes(state: StateDirectory, session_id: str | None = None) -> Iterator[Envelope]:
    """Yield the stored envelopes, of one session or all; a line that holds none is told in the notices."""
    for value in state.objects(state.envelopes):
        try:
            envelope = parse_item(value, "", now=_NEVER, new_id=_lacks_id)
        except BadRequest as error:
            state.notice(f"runtime_event_envelopes.jsonl: a line was passed over: {error.message}")
            continue
        if session_id is None or envelope.event.session_id == session_id:
            yield envelope


def find_envelopes(state: StateDirectory, envelope_ids: Collection[str]) -> dict[str, Envelope]:
    """Return those of some envelopes that are stored, by id."""
    return {e.envelope_id: e for e in read_envelopes(state) if e.envelope_id in envelope_ids}


def _lacks_id() -> NoReturn:
    raise BadRequest("it lacks an id")
