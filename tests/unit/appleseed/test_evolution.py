"""What feedback suggests, how the gate judges it, and what a report may say to people."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appleseed_evolution.config import Runtime
from appleseed_evolution.contract import Feedback
from appleseed_evolution.evolution.evidence import Evidence, read_evidence
from appleseed_evolution.evolution.evolving import evolve, workflow_state
from appleseed_evolution.evolution.gate import evaluate, policy_for
from appleseed_evolution.evolution.governance import governance_report
from appleseed_evolution.evolution.preview import unified_diff
from appleseed_evolution.evolution.proposals import Proposal, propose
from appleseed_evolution.evolution.report import build_report
from appleseed_evolution.evolution.review import labels
from appleseed_evolution.evolution.workflow import WorkflowState
from appleseed_evolution.pages import governance_page
from appleseed_evolution.routing import rank
from appleseed_evolution.skills import Skill, SkillFile, amended, load_skills, parse_skill
from appleseed_evolution.state.directory import Extent
from ironclaw_contracts.errors import BadRequest
from tests.support.appleseed import NOW, feedback_event, make_workspace, objects, texts, words

SKILL = Skill(id="review", name="Review", description="Look at changes.", tags=("quality",))
FILE = SkillFile(SKILL, Path("/skills/review.json"), "0" * 64)


def failed(session_id: str, **changes: Any) -> Feedback:
    given_feedback: dict[str, Any] = {
        "session_id": session_id,
        "task": "migrate tables",
        "status": "failure",
        "score": 0.2,
        "selected_skill_ids": ("review",),
    }
    return Feedback(**given_feedback | changes)


def proposed(records: list[Feedback], **runtime: Any) -> dict[str, tuple[Proposal, Any]]:
    report = build_report(Evidence(tuple(records), Extent()), [FILE], Runtime(**runtime), now=NOW)
    return {proposal.proposal_id: (proposal, evaluation) for proposal, evaluation in report.pairs()}


def test_given_one_session_delivered_ten_times_when_proposing_then_it_is_one_session() -> None:
    assert proposed([failed("s-1")] * 10) == {}
    found, _ = proposed([*[failed("s-1")] * 10, failed("s-2")])["prompt-review"]
    assert found.evidence_count == 2


def test_given_repeated_words_of_one_session_when_proposing_then_they_weigh_once() -> None:
    loud = [failed("s-1", task="zebra zone")] * 5
    found, _ = proposed([*loud, failed("s-2", task="alpha"), failed("s-3", task="alpha")])["prompt-review"]
    assert found.changes["add_tags"] == ["alpha", "zebra", "zone"]


def test_given_words_that_say_nothing_or_are_known_when_proposing_then_they_are_no_terms() -> None:
    records = [failed(f"s-{n}", task="How do I look at the quality of db review changes") for n in range(3)]
    assert proposed(records) == {}


def test_given_confidence_at_the_threshold_when_judged_then_rounding_does_not_decide() -> None:
    records = [failed("s-1", task="tables"), failed("s-2", task="tables")]
    found, judged = proposed(records, approval_threshold=0.45 + 0.1 + 0.1 + 0.05)["prompt-review"]
    assert found.confidence == 0.7
    assert (judged.status, judged.readiness, judged.risk_level) == (
        "approved",
        "ready_for_promotion",
        "medium",
    )
    _, judged = proposed(records, approval_threshold=0.71)["prompt-review"]
    assert (judged.status, judged.readiness, judged.risk_level) == ("rejected", "blocked", "high")


def test_given_scores_at_the_thresholds_when_proposing_then_rounding_does_not_decide() -> None:
    steps = ("a", "b")
    below, above = 0.6 - 1e-12, 0.75 - 1e-12
    assert proposed([failed(f"s-{n}", score=below) for n in range(3)]) == {}
    assert proposed([failed(f"s-{n}", score=above, steps=steps) for n in range(3)]).keys() == {"workflow-1"}


def test_given_more_than_enough_evidence_when_judged_then_the_risk_is_low() -> None:
    _, judged = proposed([failed(f"s-{n}") for n in range(3)])["prompt-review"]
    assert judged.risk_level == "low" and judged.reasons and judged.operator_actions


def test_given_too_little_evidence_when_judged_then_it_is_blocked_and_says_so() -> None:
    [proposal] = propose([failed("s-1")], [FILE], min_evidence=1)
    judged = evaluate(proposal, policy_for(proposal, Runtime()))
    assert judged.status == "rejected" and "1 sessions are fewer than the minimum of 2" in judged.reasons
    assert labels(proposal, judged) == ("rollback_sensitive", "blocked")


def test_given_workflows_and_gaps_when_judged_then_only_a_person_may_act_on_them() -> None:
    records = [
        failed("s-1", score=0.9, steps=("a", "b"), missing_capabilities=("x",)),
        failed("s-2", score=0.75, steps=("a", "b")),
        failed("s-3", score=0.59, missing_capabilities=(" Big   Data ", "big data", "")),
        failed("s-4", score=0.0, missing_capabilities=("BIG DATA",), selected_skill_ids=()),
    ]
    found = proposed(records)
    assert found.keys() == {"workflow-1", "capability-big-data"}
    for proposal, judged in found.values():
        assert (judged.status, judged.readiness) == ("manual_review", "operator_review_required")
        assert judged.risk_level == "medium" and proposal.target_id is None
        assert proposal.rollback_context == {"strategy": "no_automatic_changes_applied"}


@given(st.lists(st.builds(failed, words, task=words, score=st.floats(0, 1)), max_size=8), st.randoms())
def test_given_feedback_in_any_order_when_proposing_then_the_proposals_are_the_same(
    records: list[Feedback], random: Any
) -> None:
    shuffled = list(records)
    random.shuffle(shuffled)
    assert propose(records, [FILE], min_evidence=1) == propose(shuffled, [FILE], min_evidence=1)


def test_given_equal_scores_when_ranked_then_the_name_decides_and_zero_drops_out() -> None:
    skills = [
        Skill(id="1", name="Zebra", description="tables"),
        Skill(id="2", name="Alpha", description="tables"),
        Skill(id="3", name="Other", description="chairs"),
    ]
    assert [match.skill.name for match in rank(skills, "the tables", count_max=3)] == ["Alpha", "Zebra"]
    assert len(rank(skills, "tables", count_max=1)) == 1


def test_given_the_whole_task_in_a_description_when_ranked_then_it_weighs_three_more() -> None:
    [match] = rank(
        [Skill(id="1", name="N", description="Draft the notes now")], "draft the notes", count_max=1
    )
    assert match.score == 1.5 * 2 + 3


@given(
    st.fixed_dictionaries(
        {"id": words, "name": words},
        optional={"description": texts, "tags": st.lists(texts), "more": objects},
    )
)
def test_given_any_skill_file_when_amended_then_only_tags_and_description_change(
    value: dict[str, Any],
) -> None:
    for is_ascii in (True, False):
        raw = json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "backslashreplace")
        changed = json.loads(amended(raw, add_tags=["new"], description_append="Also covers new."))
        assert "new" in parse_skill(changed).tags and changed["description"].endswith("Also covers new.")
        rest = {"tags", "description"}
        assert {k: v for k, v in changed.items() if k not in rest} == {
            k: v for k, v in value.items() if k not in rest
        }


def test_given_a_file_without_a_last_line_end_when_compared_then_the_diff_says_so() -> None:
    assert unified_diff("a.json", b"{}\n", b"[]") == (
        "--- a.json\n+++ a.json\n@@ -1 +1 @@\n-{}\n+[]\n\\ No newline at end of file\n"
    )


def test_given_text_of_senders_when_shown_as_a_page_then_it_cannot_pass_for_markup(tmp_path: Path) -> None:
    hostile = "x\n## Approved [go](javascript:x) <b> `rm` \u202eevil"
    skill = {"id": hostile, "name": hostile, "description": ""}
    (tmp_path / "skills").mkdir()
    (tmp_path / "skills" / "s.json").write_text(json.dumps(skill))
    records = tuple(failed(f"s-{n}", selected_skill_ids=(hostile,)) for n in range(3))
    report = build_report(Evidence(records, Extent()), load_skills(tmp_path / "skills"), Runtime(), now=NOW)
    page = governance_page(governance_report(report, None))
    assert "\n## Approved" not in page and "<b>" not in page and "[go](" not in page and "\u202e" not in page


def test_given_ledgers_of_other_writers_when_read_then_nulls_are_absent_and_what_is_wrong_is_told(
    tmp_path: Path,
) -> None:
    state = make_workspace(tmp_path).state
    good = feedback_event("s-1", comment=None, steps=None)
    state.events.append(
        [
            {"timestamp": "t", "event_type": "runtime_session_event", "payload": good},
            {"timestamp": "t", "event_type": "runtime_session_event", "payload": {"session_id": "s-2"}},
            {"timestamp": "t", "event_type": "feedback_recorded", "payload": {**good, "score": 7}},
            {"timestamp": "t", "event_type": "session_started", "payload": {"session_id": "s-3"}},
        ]
    )
    state.projected_feedback.append([{"feedback": good}])
    found = read_evidence(state, state.extent())
    assert [record.session_id for record in found.records] == ["s-1"]
    assert len(state.notices) == 2


def test_given_a_workflow_history_with_a_strange_line_when_resumed_then_the_rest_counts(
    tmp_path: Path,
) -> None:
    workspace = make_workspace(tmp_path)
    evolve(workspace, now=NOW)
    workspace.state.workflow_history.append([{"report_kind": "something else"}])
    assert isinstance(workflow_state(workspace), WorkflowState)
    assert any("workflow_history.jsonl" in notice for notice in workspace.state.notices)


@pytest.mark.parametrize(
    "change", [{"id": ""}, {"name": None}, {"tags": "a"}, {"metadata": []}, {"examples": [1]}]
)
def test_given_a_skill_that_is_none_when_parsed_then_the_member_is_named(change: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match=next(iter(change))):
        parse_skill({"id": "a", "name": "A", "description": "", **change})
