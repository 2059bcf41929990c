"""Figures of the merge queue."""

from ironclaw_chassis.metrics import FAST_SECONDS, SLOW_SECONDS, counter, histogram

GATE_SECONDS = histogram(
    "ironclaw_gate_seconds", "Time that a gate took.", ("gate",), (*FAST_SECONDS, 30, 60, 120, 300, 600)
)
GATES = counter("ironclaw_gates_total", "Verdicts of gates.", ("gate", "verdict"))
MERGES = counter(
    "ironclaw_merges_total",
    "What became of merges: integrated, conflict, rejected, blocked or held.",
    ("outcome",),
)
MERGE_SECONDS = histogram(
    "ironclaw_merge_seconds",
    "Time from taking an order to its merge or refusal.",
    bounds=SLOW_SECONDS,
)
