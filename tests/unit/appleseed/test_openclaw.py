"""Operator artifacts and handoff bundles: adapted the same every time, and believed only as far as they hold."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appleseed_evolution.contract import STATUSES, envelope_to_json
from appleseed_evolution.intake import ingest
from appleseed_evolution.openclaw.adapting import adapt
from appleseed_evolution.openclaw.artifact import parse_artifact
from appleseed_evolution.openclaw.importing import openclaw_import
from appleseed_evolution.workspace import Workspace
from ironclaw_contracts.errors import BadRequest
from tests.support.appleseed import (
    NOW,
    instants,
    lines,
    make_workspace,
    objects,
    sample,
    scores,
    texts,
    words,
)

ARTIFACT = sample("openclaw_sessions/sample_session.json")


def adapted(artifact: Any) -> list[dict[str, Any]]:
    return [envelope_to_json(envelope) for envelope in adapt(parse_artifact(artifact))]


def imported(workspace: Workspace, value: Any) -> dict[str, Any]:
    return openclaw_import(workspace, json.dumps(value).encode(), now=NOW)


def bundle_of(folder: Path, artifact: Any = ARTIFACT) -> dict[str, Any]:
    folder.mkdir()
    return json.loads(json.dumps(imported(make_workspace(folder), artifact)["handoff_bundle"]))


def test_given_the_sample_when_adapted_then_both_envelopes_say_what_the_contract_asks() -> None:
    started, feedback = adapted(ARTIFACT)
    assert started["event"]["event_kind"] == "session_started"
    assert started["event"]["occurred_at"] == ARTIFACT["session"]["started_at"]
    assert feedback["event"]["occurred_at"] == ARTIFACT["outcome"]["occurred_at"]
    for envelope in (started, feedback):
        assert envelope["recorded_at"] == ARTIFACT["recorded_at"]
        assert envelope["event"]["steps"] == ["inspect rollback risk"]
        assert envelope["event"]["selected_skill_ids"] == ["code_review"]
        assert envelope["event"]["missing_capabilities"] == ["database migrations"]
        assert envelope["metadata"] == {
            "openclaw_adapter": {
                "artifact_kind": "openclaw_operator_session",
                "artifact_schema_version": "1.0",
                "artifact_recorded_at": ARTIFACT["recorded_at"],
                "operator": "local-demo",
                "checkpoint_count": 1,
                "last_checkpoint_id": "cp-risk",
                "handoff_summary": ARTIFACT["handoff"]["summary"],
                "handoff_next_action": ARTIFACT["handoff"]["next_action"],
            }
        }
        assert envelope["event"]["metadata"] == {
            "operator": "local-demo",
            "artifact_recorded_at": ARTIFACT["recorded_at"],
            "checkpoint_timeline": ARTIFACT["timeline"],
            "last_checkpoint": ARTIFACT["timeline"][0],
            "handoff": ARTIFACT["handoff"],
        }


def test_given_the_same_artifact_with_its_keys_in_another_order_when_adapted_then_ids_are_the_same() -> None:
    turned = json.loads(json.dumps(ARTIFACT, sort_keys=True))
    assert list(turned) != list(ARTIFACT)
    assert adapted(turned) == adapted(ARTIFACT)
    changed = copy.deepcopy(ARTIFACT)
    changed["handoff"]["summary"] += "!"
    assert {e["envelope_id"] for e in adapted(changed)}.isdisjoint(
        e["envelope_id"] for e in adapted(ARTIFACT)
    )


def test_given_skills_in_several_places_when_adapted_then_each_is_there_once_in_order() -> None:
    artifact = copy.deepcopy(ARTIFACT)
    artifact["timeline"][0]["selected_skill_ids"] = ["b", "code_review"]
    artifact["outcome"]["selected_skill_ids"] = ["c", "b"]
    assert adapted(artifact)[0]["event"]["selected_skill_ids"] == ["code_review", "b", "c"]


def test_given_no_outcome_when_adapted_then_only_the_start_comes_out() -> None:
    artifact = {name: value for name, value in ARTIFACT.items() if name != "outcome"}
    assert [e["event"]["event_kind"] for e in adapted(artifact)] == ["session_started"]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("schema_version",), "2.0", "schema_version"),
        (("source",), None, "source is required"),
        (("recorded_at",), "soon", "recorded_at"),
        (("session",), None, "session must be a JSON object"),
        (("session", "session_id"), "", "session.session_id is required"),
        (("session", "started_at"), None, "session.started_at is required"),
        (("timeline",), {}, "timeline must be a list"),
        (("timeline", 0, "status"), "lost", "timeline[0].status"),
        (("timeline", 0, "checkpoint_id"), None, "timeline[0].checkpoint_id is required"),
        (("timeline", 0, "occurred_at"), 5, "timeline[0].occurred_at"),
        (("timeline", 0, "notes"), 5, "timeline[0].notes"),
        (("outcome", "score"), "high", "outcome.score"),
        (("outcome", "status"), None, "outcome.status is required"),
        (("handoff", "notes"), "one", "handoff.notes"),
        (("metadata",), 1, "metadata must be a JSON object"),
    ],
)
def test_given_a_wrong_member_when_imported_then_it_is_named_and_nothing_is_written(
    path: tuple[Any, ...], value: Any, said: str, tmp_path: Path
) -> None:
    artifact = copy.deepcopy(ARTIFACT)
    inner: Any = artifact
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    workspace = make_workspace(tmp_path)
    with pytest.raises(BadRequest) as caught:
        imported(workspace, artifact)
    assert said in caught.value.message
    assert not lines(workspace.state.envelopes.path) and not workspace.state.reports.exists()


@pytest.mark.parametrize(
    "value", [[], {}, None, {"artifact_kind": "other"}, {"report_kind": 1}, {"artifact_kind": []}]
)
def test_given_another_document_when_imported_then_both_kinds_are_named(value: Any, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"openclaw_operator_session.*openclaw_operator_handoff_bundle"):
        imported(make_workspace(tmp_path), value)


def _other_session(bundle: dict[str, Any]) -> None:
    bundle["handoff"]["session_id"] = "another"


def _other_envelope(bundle: dict[str, Any]) -> None:
    bundle["adapted_envelopes"][0]["event"]["session_id"] = "another"


def _other_report(bundle: dict[str, Any]) -> None:
    bundle["runtime_session_report"]["session_id"] = "another"


def _forged_score(bundle: dict[str, Any]) -> None:
    bundle["projected_feedback"][0]["feedback"]["score"] = 1.0


def _projected_start(bundle: dict[str, Any]) -> None:
    bundle["projected_feedback"][0]["source_envelope_id"] = bundle["adapted_envelopes"][0]["envelope_id"]


def _unknown_envelope(bundle: dict[str, Any]) -> None:
    bundle["projected_feedback"][0]["source_envelope_id"] = "nobody"


def _no_envelopes(bundle: dict[str, Any]) -> None:
    bundle["adapted_envelopes"] = []


def _no_id(bundle: dict[str, Any]) -> None:
    del bundle["adapted_envelopes"][0]["envelope_id"]


def _no_handoff(bundle: dict[str, Any]) -> None:
    del bundle["handoff"]


def _other_version(bundle: dict[str, Any]) -> None:
    bundle["schema_version"] = "1.1"


def _two_with_one_id(bundle: dict[str, Any]) -> None:
    started, feedback = bundle["adapted_envelopes"]
    bundle["adapted_envelopes"].insert(1, started | {"envelope_id": feedback["envelope_id"]})


def _shared_projection_id(bundle: dict[str, Any]) -> None:
    twin = copy.deepcopy(bundle["adapted_envelopes"][1])
    twin["envelope_id"] = "twin"
    record = copy.deepcopy(bundle["projected_feedback"][0])
    record["source_envelope_id"] = "twin"
    bundle["adapted_envelopes"].append(twin)
    bundle["projected_feedback"].append(record)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_other_session, "handoff.session_id"),
        (_other_envelope, "adapted_envelopes[0].event.session_id"),
        (_other_report, "runtime_session_report.session_id"),
        (_forged_score, "projected_feedback[0].feedback says what"),
        (_projected_start, "projected_feedback[0].feedback says what"),
        (_unknown_envelope, "projected_feedback[0].source_envelope_id"),
        (_no_envelopes, "adapted_envelopes is empty"),
        (_no_id, "lacks its envelope_id"),
        (_no_handoff, "handoff must be a JSON object"),
        (_other_version, "schema_version"),
        (_two_with_one_id, "adapted_envelopes[2].envelope_id"),
        (_shared_projection_id, "projection_id"),
    ],
)
def test_given_a_bundle_that_does_not_hold_together_when_replayed_then_nothing_is_written(
    spoil: Any, said: str, tmp_path: Path
) -> None:
    bundle = bundle_of(tmp_path / "from")
    spoil(bundle)
    (tmp_path / "to").mkdir()
    workspace = make_workspace(tmp_path / "to")
    with pytest.raises(BadRequest) as caught:
        imported(workspace, bundle)
    assert said in caught.value.message
    assert not lines(workspace.state.envelopes.path) and not workspace.state.reports.exists()


def test_given_a_bundle_whose_envelope_is_another_one_in_the_ledger_when_replayed_then_nothing_is_written(
    tmp_path: Path,
) -> None:
    bundle = bundle_of(tmp_path / "from")
    (tmp_path / "to").mkdir()
    workspace = make_workspace(tmp_path / "to")
    started, feedback = bundle["adapted_envelopes"]
    stored = started | {"envelope_id": feedback["envelope_id"]}
    ingest(workspace, json.dumps(stored).encode(), now=NOW, new_id=lambda: "no id is missing")
    for left in ([started, feedback], [started]):
        with pytest.raises(BadRequest, match=r"another envelope|says what envelope"):
            imported(workspace, bundle | {"adapted_envelopes": left})
    assert lines(workspace.state.envelopes.path) == [stored]
    assert not lines(workspace.state.projected_feedback.path) and not workspace.state.reports.exists()


def test_given_records_of_an_envelope_that_only_the_ledger_has_when_replayed_then_they_are_taken(
    tmp_path: Path,
) -> None:
    bundle = bundle_of(tmp_path / "from")
    (tmp_path / "to").mkdir()
    workspace = make_workspace(tmp_path / "to")
    imported(workspace, bundle)
    bundle["adapted_envelopes"].pop()
    again = imported(workspace, bundle)
    assert (again["skipped_existing_envelopes"], again["skipped_existing_projected_feedback"]) == (1, 1)


checkpoints = st.fixed_dictionaries(
    {
        "checkpoint_id": words,
        "occurred_at": instants,
        "step": words,
        "status": st.sampled_from(["blocked", "cancelled", "completed", "handoff", "in_progress", "queued"]),
    },
    optional={
        "notes": st.one_of(texts, st.lists(texts, max_size=2)),
        "selected_skill_ids": st.lists(texts, max_size=2),
        "missing_capabilities": st.none(),
        "metadata": objects,
    },
)
artifacts = st.fixed_dictionaries(
    {
        "artifact_kind": st.just("openclaw_operator_session"),
        "schema_version": st.just("1.0"),
        "source": words,
        "recorded_at": instants,
        "session": st.fixed_dictionaries(
            {"session_id": words, "task": words, "started_at": instants},
            optional={
                "operator": texts,
                "metadata": objects,
                "selected_skill_ids": st.lists(texts, max_size=2),
            },
        ),
    },
    optional={
        "timeline": st.lists(checkpoints, max_size=3),
        "outcome": st.fixed_dictionaries(
            {"occurred_at": instants, "status": st.sampled_from(STATUSES), "score": scores},
            optional={"comment": texts, "metadata": objects},
        ),
        "handoff": st.fixed_dictionaries(
            {}, optional={"summary": texts, "notes": st.lists(texts), "metadata": objects}
        ),
        "metadata": objects,
        "surprise": objects,
    },
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(artifact=artifacts)
def test_given_any_artifact_when_imported_and_its_bundle_replayed_elsewhere_then_the_ledgers_are_equal(
    artifact: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    here, there = (make_workspace(tmp_path_factory.mktemp("state")) for _ in range(2))
    first = imported(here, artifact)
    assert first["ingested"] == (2 if artifact.get("outcome") else 1)
    again = imported(here, artifact)
    assert (again["ingested"], again["skipped"]) == (0, first["ingested"])
    raw = Path(first["latest_handoff_bundle_path"]).read_bytes()
    replayed = openclaw_import(there, raw, now=NOW)
    assert replayed["ingested"] == first["ingested"]
    for name in ("envelopes", "projected_feedback"):
        ours, theirs = getattr(here.state, name).path, getattr(there.state, name).path
        assert lines(ours) == lines(theirs)
