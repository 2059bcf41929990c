"""The worked case: skills and a batch in; the proposals, gate results and route scores that must come out."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from appleseed_evolution.evolution.evolving import evolve
from appleseed_evolution.intake import ingest, route
from appleseed_evolution.jsontext import to_document
from appleseed_evolution.workspace import Workspace
from tests.support.appleseed import CASE, NOW, make_workspace

EXPECTED: dict[str, Any] = CASE["expect"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path)


def take_in(workspace: Workspace) -> dict[str, Any]:
    return ingest(workspace, to_document(CASE["batch"]).encode(), now=NOW, new_id=lambda: str(uuid4()))


def test_given_the_batch_when_taken_in_then_it_is_counted_as_expected(workspace: Workspace) -> None:
    answer = take_in(workspace)
    assert answer["ingested"] == len(answer["events"]) == EXPECTED["ingested"]
    assert answer["projected_feedback_records"] == EXPECTED["projected_feedback_records"]
    assert answer["skipped"] == 0


def test_given_the_batch_when_evolving_then_proposals_and_gate_are_the_expected_ones(
    workspace: Workspace,
) -> None:
    take_in(workspace)
    report = evolve(workspace, now=NOW)
    judged = {evaluation["proposal_id"]: evaluation for evaluation in report["evaluations"]}
    found = [
        {
            name: {**proposal, **judged[proposal["proposal_id"]]}[name]
            for name in expected
            if name != "changes"
        }
        | {"changes": {name: proposal["changes"][name] for name in expected["changes"]}}
        for proposal, expected in zip(report["proposals"], EXPECTED["proposals"], strict=True)
    ]
    assert found == EXPECTED["proposals"]


def test_given_the_skills_when_routing_then_scores_and_terms_are_the_expected_ones(
    workspace: Workspace,
) -> None:
    answer = route(workspace, {"task": EXPECTED["route"]["task"]}, now=NOW, new_id=lambda: "s-1")
    found = [
        {"skill_id": m["skill"]["id"], "score": m["score"], "matched_terms": list(m["matched_terms"])}
        for m in answer["selected_skills"]
    ]
    assert found == EXPECTED["route"]["matches"]
    assert answer["session_id"] == "s-1" and answer["next_action"]
