"""Grade the patrol: was each intervention right, judged by what the attempt really came to? Pure.

An attempt that was given up and then went on working had a living unit: giving it up was wrong. Recall comes
from drills, since only a planted fault is known to have been there when nothing was found.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from statistics import median
from typing import Literal

from ironclaw_contracts.drills import DRILL, EXPECTED_RULE, Fault
from ironclaw_contracts.endpoints.duty_officer import Grade, Judgement
from ironclaw_contracts.events import Event
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_contracts.transitions import TERMINAL_PHASES

_GUESSES = frozenset({"lost_unit"})
"""Rules that infer a fault from silence. The others act on a fact that is in the ledger."""


def judge(started: Event, history: Iterable[Event], order: OrderSnapshot) -> Judgement:
    """Judge one RECOVERY_STARTED by the later events of its order."""
    rule = str(started.payload.get("rule") or "unknown")
    attempt = int(started.payload.get("attempt", 0))
    verdict, because = _verdict(rule, attempt, started, list(history), order)
    since = started.payload.get("since")
    detected = (started.ts - datetime.fromisoformat(since)).total_seconds() if since else None
    return Judgement(
        order_id=order.order_id,
        attempt=attempt,
        rule=rule,
        verdict=verdict,
        because=because,
        at=started.ts,
        detected_after_seconds=max(detected, 0.0) if detected is not None else None,
    )


def _verdict(
    rule: str, attempt: int, started: Event, history: list[Event], order: OrderSnapshot
) -> tuple[Literal["right", "wrong", "open"], str]:
    if rule not in _GUESSES:
        return "right", "acted on what the ledger says"
    if any(e.type is E.ORDER_ADOPTED and e.payload.get("adopts") == attempt for e in history):
        adopted = next(e for e in history if e.type is E.ORDER_ADOPTED)
        if adopted.payload.get("attempt") == attempt + 1:
            return "right", "its unit was gone; its finished work was adopted at once"
        return "wrong", "the unit was alive and finished its work"
    kept = [
        (e.payload.get("head"), e.payload.get("sha256"))
        for e in history
        if e.type is E.WORKTREE_ARCHIVED and e.payload.get("attempt") == attempt and e.seq > started.seq
    ]
    if len(set(kept)) > 1:
        return "wrong", "the attempt went on working after it was given up"
    if order.phase in TERMINAL_PHASES:
        return "right", "nothing more came of the attempt"
    return "open", "the order has not ended"


def grade(judgements: list[Judgement], drilled: Iterable[OrderSnapshot]) -> list[Grade]:
    """Return each rule's grade. `drilled` are the orders in which drills planted faults, once they ended."""
    planted: dict[str, list[OrderSnapshot]] = {}
    for order in drilled:
        rule = expected_rule(order)
        if rule is not None and order.phase in TERMINAL_PHASES:
            planted.setdefault(rule, []).append(order)
    met = {(j.order_id, j.attempt) for j in judgements}
    return [
        _grade(rule, [j for j in judgements if j.rule == rule], planted.get(rule, []), met)
        for rule in sorted({j.rule for j in judgements} | planted.keys())
    ]


def _grade(
    rule: str, judged: list[Judgement], planted: list[OrderSnapshot], met: set[tuple[str, int]]
) -> Grade:
    right = sum(j.verdict == "right" for j in judged)
    wrong = sum(j.verdict == "wrong" for j in judged)
    missed = sum((order.order_id, 1) not in met for order in planted)
    delays = [j.detected_after_seconds for j in judged if j.detected_after_seconds is not None]
    return Grade(
        rule=rule,
        interventions=len(judged),
        right=right,
        wrong=wrong,
        open=len(judged) - right - wrong,
        precision=round(right / (right + wrong), 4) if right + wrong else None,
        planted=len(planted),
        missed=missed,
        recall=round(1 - missed / len(planted), 4) if planted else None,
        detected_after_seconds_median=round(median(delays), 3) if delays else None,
        detected_after_seconds_max=round(max(delays), 3) if delays else None,
    )


def expected_rule(order: OrderSnapshot) -> str | None:
    """Return the rule that has to meet the fault planted in an order; None where none was."""
    inputs: Mapping[str, object] = order.order.inputs
    fault = inputs.get("fault")
    if order.order.type != DRILL or fault not in set(Fault):
        return None
    return EXPECTED_RULE[Fault(str(fault))]
