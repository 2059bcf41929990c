"""The command center in one answer, for the command line and programs; the console shows the same."""

from msgspec import Struct, field

from ironclaw_contracts.demand import Segment
from ironclaw_contracts.endpoint import OPERATORS, Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.milestones import Milestone


class ProofNode(Struct, frozen=True):
    """One station of the feed: live, warning or idle."""

    id: str
    label: str
    state: str
    detail: str


class RiskCounts(Struct, frozen=True, rename="camel"):
    on_track: int
    at_risk: int
    blocked: int
    completed: int


class Overview(Struct, frozen=True, rename="camel"):
    """The feed in figures. `stale` when nothing was accepted for five minutes."""

    stale: bool
    evidence_count: int
    active_lanes: list[str]
    risk_counts: RiskCounts
    dead_letter_count: int
    proof_nodes: list[ProofNode]


class DemandSummary(Struct, frozen=True, rename="camel"):
    """`source` is live, stale or fallback."""

    source: str
    demand_narrative: str
    queue_total: int
    draft_total: int
    selected_for_draft_total: int
    hot_segments: int


class Demand(Struct, frozen=True):
    summary: DemandSummary
    segments: list[Segment] = field(default_factory=list[Segment])


class CommandCenter(Struct, frozen=True):
    """What the validator's command center shows; `feed` newest first."""

    overview: Overview
    demand: Demand
    feed: list[Milestone]


COMMAND_CENTER = Endpoint(
    service=Service.API_GATEWAY,
    name="command_center",
    method="GET",
    path="/command-center",
    summary="Milestones with their risk, the proof nodes and demand, with what is stale said to be so.",
    body=Nothing,
    query=Nothing,
    answer=CommandCenter,
    callers=OPERATORS,
)
ENDPOINTS = (COMMAND_CENTER,)
