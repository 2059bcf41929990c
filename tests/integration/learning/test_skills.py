"""Appleseed's review queue over the gateway: judged, promoted, rolled back."""

import json

import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import learning
from ironclaw_contracts.endpoints.learning_skills import SkillDecision
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Conflict, Forbidden, NotFound
from tests.integration.learning.test_outside import INGEST, post
from tests.support.fleet import FleetUnderTest

SKILL = {
    "id": "levels",
    "name": "Levels",
    "description": "Read a gauge.",
    "tags": ["gauge"],
    "examples": [],
    "instructions": ["Look."],
    "metadata": {},
}


async def test_given_sessions_in_which_a_skill_failed_when_judged_then_an_operator_promotes_and_takes_back(
    taught: FleetUnderTest,
) -> None:
    path = taught.state.path / "appleseed" / "skills" / "levels.json"
    path.write_text(json.dumps(SKILL), encoding="utf-8")
    before = path.read_bytes()
    for number in range(3):
        event = {
            "event_kind": "session_feedback",
            "session_id": f"levels-{number}",
            "task": "calibrate drift",
            "status": "failure",
            "score": 0.1,
            "comment": "<b>drift</b>",
            "selected_skill_ids": ["levels"],
        }
        assert (
            post(taught, INGEST, {"source": "openclaw", "envelope_id": f"l{number}", "event": event})[0]
            == 200
        )
    async with taught.client() as client:
        judged = await client.call(api.REVIEW_SKILLS)
        found = {p.proposal_id: p for p in judged.proposals}["prompt-levels"]
        assert (found.readiness, found.promoted, judged.stage) == ("ready_for_promotion", False, "reviewed")
        assert "+" in found.diff and "drift" in found.diff
        assert await client.call(api.GET_SKILL_REVIEW) == judged
        wish = api.SkillWish("prompt-levels")
        promoted = await client.call(api.PROMOTE_SKILL, wish)
        assert {p.proposal_id: p.promoted for p in promoted.proposals}["prompt-levels"]
        assert "drift" in json.loads(path.read_bytes())["tags"]
        back = await client.call(api.ROLL_BACK_SKILL, wish)
        assert not {p.proposal_id: p.promoted for p in back.proposals}["prompt-levels"]
        assert path.read_bytes() == before
        with pytest.raises(NotFound, match="not promoted"):
            await client.call(api.ROLL_BACK_SKILL, wish)
        with pytest.raises(Conflict, match="no such proposal"):
            await client.call(api.PROMOTE_SKILL, api.SkillWish("prompt-nothing"))
    assert "prompt-levels" in taught.cli("skills", "show")
    assert "ready for promotion" in taught.cli("skills", "review")
    assert "promoted" in taught.cli("skills", "promote", "prompt-levels")
    assert taught.cli_json("skills", "rollback", "prompt-levels")["stage"] == "promoted"
    assert path.read_bytes() == before


async def test_given_another_service_than_the_gateway_when_it_asks_for_the_queue_then_it_is_refused(
    taught: FleetUnderTest,
) -> None:
    async with taught.as_service(Service.API_GATEWAY) as gateway:
        queue = await gateway.call(learning.GET_SKILL_REVIEW)
        assert queue.config.endswith("appleseed.toml")
        assert (await gateway.call(learning.REVIEW_SKILLS)).stage == "reviewed"
        nobodys = SkillDecision("prompt-nobodys", "ann")
        with pytest.raises(Conflict):
            await gateway.call(learning.PROMOTE_SKILL, nobodys)
        with pytest.raises(NotFound):
            await gateway.call(learning.ROLL_BACK_SKILL, nobodys)
    async with taught.as_service(Service.CO) as co:
        with pytest.raises(Forbidden):
            await co.call(learning.PROMOTE_SKILL, nobodys)
