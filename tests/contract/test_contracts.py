"""The contracts hold together: every event type has a payload, an author and a place in the state machine."""

import msgspec
import pytest

from ironclaw_contracts.artifacts import Aar, Order
from ironclaw_contracts.authority import AUTHORITY, check_authority
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.errors import PROBLEMS, Authority, BadId, BadRequest, problem_from_code
from ironclaw_contracts.events import PAYLOADS, EventType, new_event, typed_payload
from ironclaw_contracts.ids import check_id, derived_event_id, new_id
from ironclaw_contracts.jobs import JobMessage
from ironclaw_contracts.payloads import OrderStarted, RunEnded
from ironclaw_contracts.transitions import (
    FENCED,
    ORDER_TRANSITIONS,
    RUN_TRANSITIONS,
    STATUS_OF_PHASE,
    TERMINAL_PHASES,
)

SEED_ORDER = b"""{"order_id": "order_001", "run_id": "run_123", "theater_id": "demo", "type": "draft",
  "objective": "Summarize the input into 5 bullets", "inputs": {"text": "..."},
  "constraints": {"budget_seconds": 60, "max_retries": 1,
    "tool_policy": {"network": false, "fs_allowlist": ["./"]}},
  "profile": {"name": "executor_default", "model": "meta-llama/..."}}"""
SEED_AAR = b"""{"order_id": "order_001", "status": "completed", "completed_at": "2026-01-14T16:21:00Z",
  "summary": "What was done and results",
  "artifacts": [{"path": "outputs/model_output.txt", "type": "text/plain"}],
  "model": {"provider": "io.intelligence", "name": "meta-llama/Llama-3.3-70B-Instruct", "temperature": 0.2},
  "notes": [], "next_recommendations": []}"""
SEED_JOB = b"""{"job_type": "EXECUTE_ORDER", "order_id": "01J", "run_id": "01J", "theater_id": "demo",
  "unit_id": "assault_abc123", "worktree_path": "/x/worktrees/order_01J", "attempt": 1,
  "profile": {"name": "executor_default", "model": "meta-llama/..."},
  "constraints": {"budget_seconds": 60, "max_retries": 1},
  "tool_policy": {"network": false, "fs_allowlist": ["./*"]}}"""


def test_given_the_seeds_examples_when_decoded_then_they_fit_the_structs() -> None:
    assert msgspec.json.decode(SEED_ORDER, type=Order).constraints.max_retries == 1
    assert msgspec.json.decode(SEED_AAR, type=Aar).artifacts[0].path == "outputs/model_output.txt"
    assert msgspec.json.decode(SEED_JOB, type=JobMessage).job_id == "01J:1"


def test_given_every_event_type_when_looked_up_then_it_has_a_payload_and_an_author() -> None:
    assert set(PAYLOADS) == set(EventType)
    assert set().union(*AUTHORITY.values()) == set(EventType)
    assert set(AUTHORITY) == set(Service)


def test_given_every_phase_when_looked_up_then_it_has_a_status_and_a_way_on_unless_terminal() -> None:
    assert set(STATUS_OF_PHASE) == set(OrderPhase)
    for phase in OrderPhase:
        onward = {
            e
            for e, row in ORDER_TRANSITIONS.items()
            if phase in row.sources and row.target not in {None, phase}
        }
        assert bool(onward) is (phase not in TERMINAL_PHASES), phase


def test_given_the_transition_tables_when_compared_then_no_event_type_is_in_both() -> None:
    assert not set(ORDER_TRANSITIONS) & set(RUN_TRANSITIONS)
    assert set(ORDER_TRANSITIONS) >= FENCED


@pytest.mark.parametrize(
    "bad", ["", "-x", "a/b", "../x", "a\x00", "a\n", "a b", "é", "x" * 65, ".git", "%2e"]
)
def test_given_a_malformed_id_when_checked_then_it_is_refused(bad: str) -> None:
    with pytest.raises(BadId):
        check_id(bad)


def test_given_made_ids_when_checked_then_they_are_accepted_and_sort_by_time() -> None:
    first, second = new_id(), new_id()
    assert check_id(first) == first and first[:8] <= second[:8]


def test_given_the_same_parts_when_an_event_id_is_derived_then_it_is_the_same() -> None:
    assert derived_event_id("o", 1, "X", 0) == derived_event_id("o", 1, "X", 0)
    assert derived_event_id("o", 1, "X", 0) != derived_event_id("o", 2, "X", 0)


def test_given_a_foreign_payload_when_an_event_is_made_then_it_is_refused() -> None:
    with pytest.raises(TypeError):
        new_event(EventType.ORDER_STARTED, RunEnded(reason="x"))
    assert new_event(EventType.ORDER_STARTED, OrderStarted()).payload == {"attempt": 1, "executor": "model"}


def test_given_a_wrong_payload_when_parsed_then_the_error_names_the_field() -> None:
    with pytest.raises(BadRequest, match="attempt"):
        typed_payload(EventType.ORDER_STARTED, {"attempt": "one"})
    assert typed_payload(EventType.ORDER_STARTED, {"attempt": 2, "of_the_future": True}) == OrderStarted(
        attempt=2
    )


def test_given_a_service_when_it_appends_what_is_not_its_own_then_it_is_refused() -> None:
    with pytest.raises(Authority):
        check_authority(Service.WORKER, EventType.INTEGRATED)
    check_authority(Service.WORKER, EventType.ORDER_CLAIMED)


def test_given_every_error_code_when_it_crosses_the_wire_then_it_is_the_same_error_again() -> None:
    for code, kind in PROBLEMS.items():
        problem = problem_from_code(code, "message", 3)
        assert type(problem) is kind and problem.message == "message"
