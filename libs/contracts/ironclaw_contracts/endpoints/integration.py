"""The integration service's endpoint (seed 3.7)."""

from msgspec import Struct, field

from ironclaw_contracts.artifacts import Artifact
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.ids import Attempt, Id, Sha
from ironclaw_contracts.payloads import GateResult


class IntegrationRequest(Struct, frozen=True):
    """The seed's request. `worktree_path` is checked against the order's own."""

    theater_id: Id
    order_id: Id
    worktree_path: str | None = None
    gate_profile: Id = "default"


class IntegrationAnswer(Struct, frozen=True):
    """How far the order got: `phase` INTEGRATED with the merge commit, or what stopped it."""

    order_id: str
    phase: OrderPhase
    merge_commit: str | None
    reason: str | None
    gates: list[GateResult]


class TrialRequest(Struct, frozen=True):
    """A finished attempt to try: what it reports, and the commit that holds it."""

    order_id: Id
    attempt: Attempt
    commit_sha: Sha
    artifacts: list[Artifact] = field(default_factory=list[Artifact])


class Trial(Struct, frozen=True):
    """What the merge and the gates would say; nothing was changed."""

    passed: bool
    reason: str | None
    gates: list[GateResult]


INTEGRATE = Endpoint(
    service=Service.INTEGRATION,
    name="integrate",
    method="POST",
    path="/integrate",
    summary="Gate one order and promote it to the mainline.",
    body=IntegrationRequest,
    query=Nothing,
    answer=IntegrationAnswer,
    callers=frozenset({Service.API_GATEWAY, Service.DUTY_OFFICER, Service.OBSERVER}),
    timeout_seconds=120.0,
)
TRY_MERGE = Endpoint(
    service=Service.INTEGRATION,
    name="try_merge",
    method="POST",
    path="/trials",
    summary="Merge and gate a finished attempt without promoting it.",
    body=TrialRequest,
    query=Nothing,
    answer=Trial,
    callers=frozenset({Service.DUTY_OFFICER, Service.SENTINEL}),
    timeout_seconds=120.0,
)
ENDPOINTS = (INTEGRATE, TRY_MERGE)
