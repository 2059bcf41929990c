"""Random histories of senders, operators and kills, beside a model of what must be stored."""

import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appleseed_evolution.evolution.evolving import evolve, resume, review
from appleseed_evolution.evolution.promoting import promote, rollback
from appleseed_evolution.intake import ingest
from appleseed_evolution.state.skillchanges import applied_change
from appleseed_evolution.workspace import Workspace
from ironclaw_contracts.errors import Conflict
from tests.support.appleseed import NOW, lines, make_workspace
from tests.support.crashing import kill_after

PROPOSAL = "prompt-code_review"
_IDS = UUID(int=7)


class Histories(RuleBasedStateMachine):
    """`stored` holds what was acknowledged; `unknown` the payloads whose sender was killed meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="appleseed-histories-"))
        self.stored: dict[str, bool] = {}
        self.unknown: list[dict[str, bool]] = []
        self.versions: list[bytes] = []
        self.number = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @initialize()
    def begin(self) -> None:
        make_workspace(self.folder)
        self.skill = self.folder / "skills" / "code_review.json"
        self.versions = [self.skill.read_bytes()]
        self.taken_in([True, True, False])
        self.evolved()

    def opened(self) -> Workspace:
        return Workspace.open(self.folder / "appleseed.toml")

    def send(self, payload: list[dict[str, Any]]) -> dict[str, Any]:
        return ingest(self.opened(), json.dumps(payload).encode(), now=NOW, new_id=lambda: "no id is missing")

    def made(self, is_feedback: list[bool]) -> tuple[list[dict[str, Any]], dict[str, bool]]:
        payload: list[dict[str, Any]] = []
        for is_one in is_feedback:
            self.number += 1
            event: dict[str, Any] = {
                "event_id": f"event-{self.number}",
                "event_kind": "session_feedback" if is_one else "session_started",
                "session_id": f"session-{self.number}",
                "task": "review postgres locks",
                "selected_skill_ids": ["code_review"],
            }
            event |= {"status": "failure", "score": 0.1} if is_one else {}
            payload.append(
                {"envelope_id": str(uuid5(_IDS, str(self.number))), "source": "test", "event": event}
            )
        return payload, {e["envelope_id"]: f for e, f in zip(payload, is_feedback, strict=True)}

    @rule(kinds=st.lists(st.booleans(), min_size=1, max_size=3))
    def taken_in(self, kinds: list[bool]) -> None:
        payload, ids = self.made(kinds)
        assert self.send(payload)["ingested"] == len(payload)
        self.stored |= ids

    @rule(kinds=st.lists(st.booleans(), min_size=1, max_size=3), steps=st.integers(0, 6000))
    def killed(self, kinds: list[bool], steps: int) -> None:
        payload, ids = self.made(kinds)
        if kill_after(steps, lambda: self.send(payload)):
            self.unknown.append(ids)
        else:
            self.stored |= ids

    @precondition(lambda self: self.stored)
    @rule(data=st.data())
    def sent_again(self, data: st.DataObject) -> None:
        again = data.draw(st.sampled_from(sorted(self.stored)))
        kept = {e["envelope_id"]: e for e in lines(self.folder / "state" / "runtime_event_envelopes.jsonl")}
        answer = self.send([kept[again]])
        assert (answer["ingested"], answer["skipped"]) == (0, 1)

    @rule()
    def evolved(self) -> None:
        evolve(self.opened(), now=NOW)
        review(self.opened(), None, now=NOW)
        assert resume(self.opened())["stage"] == "reviewed"

    @rule(is_dry=st.booleans())
    def promoted(self, is_dry: bool) -> None:
        artifact = promote(self.opened(), None, [], dry_run=is_dry, now=NOW)
        found = self.skill.read_bytes()
        if artifact["summary"]["applied_proposals"]:
            assert not is_dry and found != self.versions[-1]
            self.versions.append(found)
        else:
            assert found == self.versions[-1]

    @rule(steps=st.integers(0, 20_000))
    def promotion_killed(self, steps: int) -> None:
        was_killed = kill_after(steps, lambda: promote(self.opened(), None, [], dry_run=False, now=NOW))
        workspace = self.opened()
        found = self.skill.read_bytes()
        if found != self.versions[-1]:
            assert applied_change(workspace.state, PROPOSAL) is not None
            self.versions.append(found)
        assert was_killed or resume(workspace)["stage"] == "promoted"

    @precondition(lambda self: len(self.versions) > 1)
    @rule()
    def evolved_and_promoted_again(self) -> None:
        """What was promoted says what was missing, so the same feedback proposes nothing new of it."""
        self.evolved()
        self.promoted(is_dry=False)
        assert len(self.versions) == 2

    @precondition(lambda self: len(self.versions) > 1)
    @rule()
    def rolled_back(self) -> None:
        rollback(self.opened(), PROPOSAL, now=NOW)
        self.versions.pop()
        assert self.skill.read_bytes() == self.versions[-1]

    @rule()
    def edited_by_hand(self) -> None:
        before = self.skill.read_bytes()
        self.skill.write_bytes(before + b" ")
        artifact = promote(self.opened(), None, [PROPOSAL], dry_run=False, now=NOW)
        assert artifact["promoted_files"] == []
        if len(self.versions) > 1:
            try:
                rollback(self.opened(), PROPOSAL, now=NOW)
                raise AssertionError("a file that was edited was overwritten")
            except Conflict:
                pass
        assert self.skill.read_bytes() == before + b" "
        self.skill.write_bytes(before)

    @invariant()
    def what_is_stored_is_what_was_acknowledged(self) -> None:
        if not self.versions:
            return
        self.opened()  # completes or drops what was cut
        state = self.folder / "state"
        found = Counter(e["envelope_id"] for e in lines(state / "runtime_event_envelopes.jsonl"))
        for ids in self.unknown:
            there = [name in found for name in ids]
            assert all(there) or not any(there), "half a payload is stored"
            if all(there):
                self.stored |= ids
        self.unknown = []  # settled by the opening: what is not there now never comes
        assert found == Counter(list(self.stored))
        projected = Counter(r["source_envelope_id"] for r in lines(state / "projected_feedback.jsonl"))
        assert projected == Counter(name for name, is_feedback in self.stored.items() if is_feedback)
        assert self.skill.read_bytes() == self.versions[-1]


Histories.TestCase.settings = settings(
    max_examples=15, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistories = Histories.TestCase
