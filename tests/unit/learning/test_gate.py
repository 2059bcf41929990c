"""Proposals: what is ready, what needs a person, what is blocked, and what has to go again."""

import pytest
from msgspec.structs import replace

from ironclaw_contracts.errors import Conflict
from ironclaw_contracts.policy import Evaluation
from ironclaw_learning.drafting import draft
from ironclaw_learning.gate import demotion, judge, propose
from ironclaw_learning.governance import promotion, withdrawal
from tests.unit.learning.fleet import SimulatedFleet, parameters

BETTER = {"executor_default": 0.4, "quick": 0.95}
WORSE = {"executor_default": 0.4, "quick": 0.05}


def exploring(seed: int = 1, **changes: object) -> SimulatedFleet:
    """A fleet in which every profile gets some orders, and nothing is promoted by itself."""
    fleet = SimulatedFleet(parameters("quick", floor=0.2, **changes), seed, autopromote=False)
    fleet.tick()
    fleet.promote()
    return fleet


def do(fleet: SimulatedFleet, rates: dict[str, float], count: int, task_type: str = "draft") -> None:
    for _ in range(count):
        fleet.order(task_type, rates)


def failed(evaluation: Evaluation) -> set[str]:
    return {check.name for check in evaluation.checks if not check.passed}


def test_given_one_profile_when_asked_then_there_is_nothing_to_propose() -> None:
    fleet = SimulatedFleet(parameters(), seed=1)
    assert fleet.tick() == ["configured"]
    do(fleet, {"executor_default": 0.5}, 100)
    assert fleet.tick() == [] and draft(fleet.learned).tasks[0].basis == "one_profile"


def test_given_profiles_that_were_never_tried_when_proposed_then_a_person_has_to_decide() -> None:
    fleet = SimulatedFleet(parameters("quick"), seed=1)
    assert fleet.tick() == ["configured", "proposed"]
    assert fleet.tick() == []  # the same is not proposed twice
    waiting = fleet.learned.proposal
    assert waiting is not None and waiting.evaluation is not None
    assert waiting.evaluation.readiness == "operator_review_required"
    assert "supported" in failed(waiting.evaluation)
    assert waiting.diff == ["(new types): executor_default 100.0% -> 95.0%, quick 0.0% -> 5.0%"]


def test_given_too_little_evidence_when_drafted_then_the_default_leads_and_says_what_is_missing() -> None:
    fleet = exploring(evidence_min=50)
    do(fleet, BETTER, 60)
    task = draft(fleet.learned).tasks[0]
    assert (task.basis, task.recommended) == ("too_little_evidence", "executor_default")
    assert "too little evidence" in task.reasons[0] and "more outcomes of quick" in task.would_change[-1]
    assert fleet.tick() == []


def test_given_a_profile_that_is_better_when_proven_then_it_is_ready_and_other_types_stay_as_they_are() -> (
    None
):
    fleet = exploring(seed=2)
    do(fleet, BETTER, 200)
    do(fleet, {"executor_default": 0.7, "quick": 0.7}, 200, "edit")
    assert fleet.tick() == ["proposed"]
    waiting = fleet.learned.proposal
    assert waiting is not None and waiting.evaluation is not None and waiting.document is not None
    assert waiting.evaluation.readiness == "ready_for_promotion"
    assert [task.task_type for task in waiting.evaluation.tasks] == ["draft"]
    assert waiting.document.shares("draft")["quick"] == pytest.approx(0.8)
    assert waiting.document.shares("edit")["quick"] == pytest.approx(0.2)
    edit = next(task for task in waiting.document.tasks if task.task_type == "edit")
    assert edit.reasons[0].startswith("kept as in version 1")


def test_given_a_larger_shift_than_allowed_when_judged_then_a_person_has_to_decide() -> None:
    fleet = exploring(shift_max=0.3)
    do(fleet, BETTER, 200)
    found = judge(fleet.learned, draft(fleet.learned))
    assert (found.readiness, failed(found)) == ("operator_review_required", {"bounded_change"})


def test_given_a_proposal_that_the_figures_have_left_behind_when_promoted_then_it_is_blocked() -> None:
    fleet = exploring()
    do(fleet, BETTER, 200)
    fleet.tick()
    waiting = fleet.learned.proposal
    assert waiting is not None
    do(fleet, WORSE, 600)
    with pytest.raises(Conflict, match="no_regression"):
        promotion(fleet.learned, waiting.version, "ann")
    with pytest.raises(Conflict, match="does not wait"):
        promotion(fleet.learned, 99, "ann")


def test_given_live_figures_below_what_was_replaced_when_looked_at_then_the_version_goes_again() -> None:
    fleet = exploring()
    do(fleet, BETTER, 200)
    fleet.tick()
    fleet.promote()
    assert fleet.learned.in_force.version == 2 and demotion(fleet.learned) is None
    do(fleet, {"executor_default": 0.4, "quick": 0.1}, 80)
    reason = demotion(fleet.learned)
    assert reason is not None and "draft: the live success rate" in reason
    assert "demoted" in fleet.tick()
    assert fleet.learned.in_force.version == 1
    with pytest.raises(Conflict):
        withdrawal(replace(fleet.learned, history=fleet.learned.history[:1]), "ann", "x")


def test_given_a_policy_that_a_person_took_back_when_it_is_ready_again_then_it_is_not_promoted_by_itself() -> (
    None
):
    fleet = exploring()
    do(fleet, BETTER, 200)
    fleet.tick()
    fleet.promote()
    fleet.append_step(withdrawal(fleet.learned, "ann", "to see"))
    assert fleet.learned.held and propose(fleet.learned) is not None
    fleet.tick()
    fleet.promote()
    assert not fleet.learned.held
