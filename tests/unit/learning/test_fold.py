"""What each kind of end says about a profile, and what says nothing."""

import pytest
from msgspec.structs import replace

from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import Effort, ModelUse, Order, Profile
from ironclaw_contracts.drills import DRILL
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.policy import Charged, Routing
from ironclaw_learning.drafting import figures
from ironclaw_learning.learned import Cell
from tests.unit.learning.fleet import SHA, SimulatedFleet, parameters

MERGED = (E.INTEGRATED, p.Integrated(commit_sha=SHA, mainline="main"))


@pytest.fixture
def fleet() -> SimulatedFleet:
    return SimulatedFleet(parameters("quick"), seed=1)


def begin(fleet: SimulatedFleet, task_type: str = "draft", routing: Routing | None = None) -> None:
    order = Order(
        order_id="o", run_id="r", theater_id="t", type=task_type, objective="x", profile=Profile("quick")
    )
    drawn = routing or Routing(policy_version=0, basis="policy", reason="x", propensity=0.5)
    fleet.append(E.ORDER_CREATED, p.OrderCreated(order=order, title="t", routing=drawn), "o")


def cell(fleet: SimulatedFleet) -> Cell:
    return fleet.learned.tasks["draft"].cells["quick"]


def counts(fleet: SimulatedFleet) -> tuple[int, int, int]:
    found = cell(fleet)
    return found.merged, found.failed, found.excluded


BLOCKED = (E.ORDER_BLOCKED, p.OrderBlocked(reason="x"))
CONFLICT = (E.ORDER_BLOCKED, p.OrderBlocked(reason="x", conflicts=["a.md"]))
CANCELLED = (E.ORDER_CANCELLED, p.OrderCancelled(reason="x"))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([MERGED], (1, 0, 0)),
        ([(E.ORDER_FAILED, p.OrderFailed(reason="x", final=True))], (0, 1, 0)),
        ([(E.ORDER_FAILED, p.OrderFailed(reason="x", final=True, cause=Cause.LOST_UNIT))], (0, 0, 1)),
        ([(E.ORDER_FAILED, p.OrderFailed(reason="x")), MERGED], (1, 0, 0)),
        ([CANCELLED], (0, 0, 1)),
        ([BLOCKED, CANCELLED], (0, 1, 0)),
        ([CONFLICT, CANCELLED], (0, 0, 1)),
        ([BLOCKED, (E.ORDER_REISSUED, p.OrderReissued(attempt=2, reason="x")), MERGED], (1, 0, 0)),
    ],
)
def test_given_an_end_when_folded_then_it_counts_for_against_or_not_at_all(
    fleet: SimulatedFleet, events: list[tuple[E, p.Payload]], expected: tuple[int, int, int]
) -> None:
    begin(fleet)
    for kind, payload in events:
        fleet.append(kind, payload, "o")
    assert counts(fleet) == expected and fleet.learned.open == {}


def test_given_attempts_gates_and_reports_when_folded_then_retries_failures_tokens_and_time_are_counted(
    fleet: SimulatedFleet,
) -> None:
    begin(fleet)
    fleet.append(E.ORDER_STARTED, p.OrderStarted(), "o")
    model = ModelUse(provider="p", name="m", tokens_in=10, tokens_out=3)
    report = p.AarWritten(path="aar.json", sha256="0" * 64, status="completed", summary="s", model=model)
    fleet.append(E.AAR_WRITTEN, report, "o")
    gates = [
        p.GateResult(gate="tests", verdict="failed"),
        p.GateResult(gate="report", verdict="failed", mismatches=["tests_passed", "command"]),
    ]
    refused = p.IntegrationFailed(reason="x", gates=gates)
    fleet.append(E.INTEGRATION_FAILED, refused, "o")
    fleet.append(E.INTEGRATION_FAILED, p.IntegrationFailed(reason="conflict", conflicts=["a"]), "o")
    fleet.append(E.ORDER_REISSUED, p.OrderReissued(attempt=2, reason="x"), "o")
    adopted = p.OrderAdopted(
        attempt=3,
        adopts=1,
        commit_sha=SHA,
        reason="x",
        path="/w",
        branch="b",
        base_commit=SHA,
        report=replace(report, effort=Effort(tokens_in=100, tokens_out=40, cost_microusd=7)),
    )
    fleet.append(E.ORDER_ADOPTED, adopted, "o")
    fleet.append(*MERGED, "o")
    found = figures(cell(fleet))
    assert (found.retries, found.gate_failures, found.mismatches) == (1, 1, 1)
    assert (found.tokens_in, found.tokens_out, found.cost_microusd) == (110, 43, 7)
    assert found.latency_seconds is not None  # started at 2 s, merged at 8 s
    assert found.latency_seconds.p50 == pytest.approx(6, rel=0.0101)


@pytest.mark.parametrize(
    ("task_type", "routing"),
    [(DRILL, None), ("draft", Routing(policy_version=0, basis="replay", reason="x"))],
)
def test_given_a_drill_or_a_replay_when_folded_then_nothing_is_learned_from_it(
    fleet: SimulatedFleet, task_type: str, routing: Routing | None
) -> None:
    begin(fleet, task_type, routing)
    fleet.append(*MERGED, "o")
    assert fleet.learned.tasks == {} and fleet.learned.open == {}


def test_given_an_order_that_nobody_drew_when_folded_then_it_has_figures_but_ranks_nobody(
    fleet: SimulatedFleet,
) -> None:
    begin(fleet, routing=Routing(policy_version=0, basis="pinned", reason="x"))
    fleet.append(*MERGED, "o")
    assert counts(fleet) == (1, 0, 0) and fleet.learned.tasks["draft"].memory == {}


def test_given_a_correction_when_folded_then_the_success_is_taken_back(fleet: SimulatedFleet) -> None:
    begin(fleet)
    fleet.append(*MERGED, "o")
    charged = [Charged(order_id="o", task_type="draft", profile="quick", propensity=0.5)]
    fleet.append(
        E.FEEDBACK_RECORDED, p.FeedbackRecorded(verdict="accept", origin="person", by="a", orders=charged)
    )
    memory = fleet.learned.tasks["draft"].memory["quick"]
    assert (memory.reward, memory.reward_inverse, cell(fleet).accepted) == (1, 2, 1)
    fleet.append(
        E.FEEDBACK_RECORDED, p.FeedbackRecorded(verdict="redo", origin="person", by="a", orders=charged)
    )
    assert (memory.reward, memory.reward_inverse, memory.n) == (0, 0, 1)
    assert cell(fleet).corrected == 1 and figures(cell(fleet)).success_rate == 0


def test_given_corrections_of_an_earlier_versions_work_when_folded_then_the_one_in_force_is_not_blamed(
    fleet: SimulatedFleet,
) -> None:
    """Else a new policy could be demoted for what the one before it had done."""
    put = p.PolicyUpdated(action="promoted", version=2, by="ann", reason="x")
    fleet.append(E.POLICY_UPDATED, put)
    routing = Routing(policy_version=2, basis="policy", reason="x", propensity=0.5)
    begin(fleet, routing=routing)
    fleet.append(*MERGED, "o")
    live = fleet.learned.tasks["draft"].live

    def correct(version: int | None) -> float:
        charged = Charged(
            order_id="o", task_type="draft", profile="quick", propensity=0.5, policy_version=version
        )
        said = p.FeedbackRecorded(verdict="reject", origin="person", by="a", orders=[charged])
        fleet.append(E.FEEDBACK_RECORDED, said)
        return live.reward

    assert live.reward == 1
    assert (correct(1), correct(None), correct(2)) == (1, 1, 0)
