"""The integration service's endpoints (seed 3.7)."""

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import Artifact
from ironclaw_contracts.as_of import AsOfQuery
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


class GateStanding(Struct, frozen=True, kw_only=True):
    """A gate's command and whether it refused its planted bad commit: `alive`, `dead` or `unproven`.

    `unknown` as of an earlier point: only the newest proof of a gate is kept.
    """

    gate: str
    kind: str
    run: list[str]
    state: str
    detail: str
    output: str | None
    tried_at: datetime | None


class TheaterGates(Struct, frozen=True, kw_only=True):
    """What a theater's mainline asks for at `head`; `problem` when its gates.toml cannot be used."""

    theater_id: str
    head: str
    problem: str | None = None
    gates: list[GateStanding] = field(default_factory=list[GateStanding])
    batch: int = 0
    require_approval: bool = False


class ReportFigure(Struct, frozen=True, kw_only=True):
    """Of a profile and model: reports judged, those that claim what was not so, and how often each kind."""

    profile: str
    model: str
    reports: int
    wrong: int
    kinds: dict[str, int]


class ReportFigures(Struct, frozen=True):
    figures: list[ReportFigure]


Sky = Literal["clear", "soft", "hot"]
"""How branches meet: nothing in common, the same files merged cleanly, or a conflict."""


class BranchWeather(Struct, frozen=True, kw_only=True):
    """How an order's branch, at `head`, meets the mainline; `paths` are those in common or in conflict."""

    order_id: str
    attempt: int
    head: str
    state: Sky
    paths: list[str]


class PairWeather(Struct, frozen=True, kw_only=True):
    """Two branches that meet; `first` is of the older order, which is merged first."""

    first: str
    second: str
    state: Sky
    paths: list[str]


class Weather(Struct, frozen=True, kw_only=True):
    """The branches in flight of a theater, `pairs` those that are not clear.

    `tried` counts the merges that were tried for this answer; what has not moved is remembered.
    """

    theater_id: str
    head: str
    state: Sky
    branches: list[BranchWeather]
    pairs: list[PairWeather]
    pairs_clear: int
    tried: int


class Decision(Struct, frozen=True, kw_only=True):
    """A person's word on the result of an order that passed its gates."""

    approved: bool
    decided_by: Annotated[str, Meta(min_length=1, max_length=200)]
    note: Annotated[str, Meta(max_length=1_000)] = ""


class Decided(Struct, frozen=True, kw_only=True):
    """The decision as it is kept: about one attempt and its commit."""

    order_id: str
    attempt: int
    commit_sha: str
    approved: bool
    decided_by: str
    note: str
    theater_id: str


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
SHOW_GATES = Endpoint(
    service=Service.INTEGRATION,
    name="show_gates",
    method="GET",
    path="/theaters/{theater_id}/gates",
    summary="The gates that a theater's mainline asks for, and whether each can fail; now or as of then.",
    body=Nothing,
    query=AsOfQuery,
    answer=TheaterGates,
    callers=frozenset({Service.API_GATEWAY, Service.OPENCLAWDBOT}),
    timeout_seconds=30.0,
)
PROVE_GATES = Endpoint(
    service=Service.INTEGRATION,
    name="prove_gates",
    method="POST",
    path="/theaters/{theater_id}/gates/prove",
    summary="Have every gate refuse its planted bad commit now.",
    body=Nothing,
    query=Nothing,
    answer=TheaterGates,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=600.0,
)
READ_OUTPUT = Endpoint(
    service=Service.INTEGRATION,
    name="read_output",
    method="GET",
    path="/outputs/{output_id}",
    summary="What a gate's command printed, by its SHA-256.",
    body=Nothing,
    query=Nothing,
    answer=bytes,
    form="bytes",
    callers=frozenset({Service.API_GATEWAY}),
)
DECIDE = Endpoint(
    service=Service.INTEGRATION,
    name="decide",
    method="POST",
    path="/orders/{order_id}/decision",
    summary="Approve or refuse work that passed its gates.",
    body=Decision,
    query=Nothing,
    answer=Decided,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=30.0,
)
REPORT_FIGURES = Endpoint(
    service=Service.INTEGRATION,
    name="report_figures",
    method="GET",
    path="/reports/figures",
    summary="How often the reports of each profile claimed what was not so.",
    body=Nothing,
    query=Nothing,
    answer=ReportFigures,
    callers=frozenset({Service.API_GATEWAY, Service.LEARNING}),
)
GET_WEATHER = Endpoint(
    service=Service.INTEGRATION,
    name="get_weather",
    method="GET",
    path="/theaters/{theater_id}/weather",
    summary="Which branches in flight will get in each other's way.",
    body=Nothing,
    query=Nothing,
    answer=Weather,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=60.0,
)
ENDPOINTS = (
    INTEGRATE,
    TRY_MERGE,
    SHOW_GATES,
    PROVE_GATES,
    READ_OUTPUT,
    DECIDE,
    REPORT_FIGURES,
    GET_WEATHER,
)
