"""The operator session artifact that `openclaw-import` takes."""

from typing import Any, Literal, cast

from msgspec import Struct

from appleseed_evolution.contract import STATUSES, Status
from appleseed_evolution.fields import Members
from appleseed_evolution.jsontext import JsonObject
from ironclaw_contracts.errors import BadRequest

ARTIFACT_KIND = "openclaw_operator_session"
ARTIFACT_VERSION = "1.0"

CheckpointStatus = Literal["blocked", "cancelled", "completed", "handoff", "in_progress", "queued"]
_CHECKPOINT_STATUSES: tuple[CheckpointStatus, ...] = (
    "blocked",
    "cancelled",
    "completed",
    "handoff",
    "in_progress",
    "queued",
)


class Checkpoint(Struct, frozen=True, kw_only=True):
    """One step of the operator's timeline; `given` is the checkpoint as it came, less what was null."""

    checkpoint_id: str
    step: str
    selected_skill_ids: tuple[str, ...]
    missing_capabilities: tuple[str, ...]
    given: JsonObject


class Outcome(Struct, frozen=True, kw_only=True):
    """How the session ended."""

    occurred_at: str
    status: Status
    score: float
    comment: str | None
    selected_skill_ids: tuple[str, ...]
    missing_capabilities: tuple[str, ...]
    metadata: JsonObject


class Handoff(Struct, frozen=True, kw_only=True):
    """What the operator leaves for the next one."""

    summary: str | None = None
    next_action: str | None = None
    assignee: str | None = None
    notes: tuple[str, ...] = ()
    metadata: JsonObject = {}


class OperatorArtifact(Struct, frozen=True, kw_only=True):
    """One operator session; `given` is the artifact as it came, from which all ids are derived."""

    source: str
    recorded_at: str
    session_id: str
    task: str
    started_at: str
    operator: str | None
    selected_skill_ids: tuple[str, ...]
    missing_capabilities: tuple[str, ...]
    session_metadata: JsonObject
    timeline: tuple[Checkpoint, ...]
    outcome: Outcome | None
    handoff: Handoff
    metadata: JsonObject
    given: JsonObject

    @property
    def last_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint."""
        return self.timeline[-1] if self.timeline else None


def parse_artifact(value: Any, where: str = "") -> OperatorArtifact:
    """Return an artifact. Raises `BadRequest` naming the member that is wrong."""
    members = Members(value, where)
    if members.text("artifact_kind") != ARTIFACT_KIND:
        raise BadRequest(f'{members.path("artifact_kind")} must be "{ARTIFACT_KIND}"')
    if members.text("schema_version") != ARTIFACT_VERSION:
        raise BadRequest(f'{members.path("schema_version")} must be "{ARTIFACT_VERSION}"')
    session = Members(members.given("session"), members.path("session"))
    timeline = members.items("timeline")
    outcome, handoff = members.given("outcome"), members.given("handoff")
    return OperatorArtifact(
        source=members.text("source"),
        recorded_at=members.instant("recorded_at"),
        session_id=session.text("session_id"),
        task=session.text("task"),
        started_at=session.instant("started_at"),
        operator=session.optional_text("operator"),
        selected_skill_ids=session.texts("selected_skill_ids"),
        missing_capabilities=session.texts("missing_capabilities"),
        session_metadata=session.object("metadata"),
        timeline=tuple(
            _checkpoint(Members(item, f"{members.path('timeline')}[{index}]"), item)
            for index, item in enumerate(timeline)
        ),
        outcome=None if outcome is None else _outcome(Members(outcome, members.path("outcome"))),
        handoff=Handoff() if handoff is None else _handoff(Members(handoff, members.path("handoff"))),
        metadata=members.object("metadata"),
        given=cast("JsonObject", value),
    )


def _checkpoint(members: Members, given: JsonObject) -> Checkpoint:
    members.instant("occurred_at")
    members.choice("status", _CHECKPOINT_STATUSES)
    if not isinstance(given.get("notes"), str):
        members.texts("notes")
    members.object("metadata")
    return Checkpoint(
        checkpoint_id=members.text("checkpoint_id"),
        step=members.text("step"),
        selected_skill_ids=members.texts("selected_skill_ids"),
        missing_capabilities=members.texts("missing_capabilities"),
        given={name: value for name, value in given.items() if value is not None},
    )


def _outcome(members: Members) -> Outcome:
    return Outcome(
        occurred_at=members.instant("occurred_at"),
        status=members.choice("status", STATUSES),
        score=members.score("score"),
        comment=members.optional_text("comment"),
        selected_skill_ids=members.texts("selected_skill_ids"),
        missing_capabilities=members.texts("missing_capabilities"),
        metadata=members.object("metadata"),
    )


def _handoff(members: Members) -> Handoff:
    return Handoff(
        summary=members.optional_text("summary"),
        next_action=members.optional_text("next_action"),
        assignee=members.optional_text("assignee"),
        notes=members.texts("notes"),
        metadata=members.object("metadata"),
    )
