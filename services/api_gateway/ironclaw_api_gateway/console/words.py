"""What every state, cause and escalation means, in the words that the console and its help page use."""

from typing import Any, Literal

import msgspec
from msgspec import Struct

from ironclaw_contracts.enums import Cause, OrderPhase, RunStatus, Severity

Tone = Literal["idle", "busy", "good", "bad", "wait"]


class Word(Struct, frozen=True):
    """A state: how it is called, how it looks, what it means and what to do about it."""

    label: str
    tone: Tone
    meaning: str


PHASES: dict[str, Word] = {
    OrderPhase.PLANNED: Word(
        "planned", "idle", "Waits for the orders it depends on, or for its worktree. co moves it."
    ),
    OrderPhase.ENQUEUED: Word("queued", "idle", "In the queue; the next free unit claims it."),
    OrderPhase.CLAIMED: Word("claimed", "busy", "A unit holds its lease and is about to start."),
    OrderPhase.RUNNING: Word("running", "busy", "A unit works in the order's worktree and renews its lease."),
    OrderPhase.COMPLETED: Word(
        "reported", "busy", "The unit says it is done; the observer checks the commit."
    ),
    OrderPhase.READY: Word(
        "ready", "busy", "The commit holds what was reported; it waits for the merge queue."
    ),
    OrderPhase.INTEGRATING: Word("in gates", "busy", "Merged aside; the gates run on the merged tree."),
    OrderPhase.GATED: Word("gated", "busy", "The gates passed; the mainline is moved next."),
    OrderPhase.HELD: Word(
        "held",
        "wait",
        "The work is fine and the merge has to wait, for instance for changes in your checkout.",
    ),
    OrderPhase.REJECTED: Word(
        "rejected", "wait", "The gates refused it; the duty officer reissues it or gives it up."
    ),
    OrderPhase.BLOCKED: Word(
        "blocked", "wait", "The unit cannot go on, or a second conflict came; co plans anew."
    ),
    OrderPhase.ATTEMPT_FAILED: Word(
        "attempt failed", "wait", "This attempt failed; the duty officer reissues the order or gives it up."
    ),
    OrderPhase.INTEGRATED: Word(
        "merged", "good", "Gated and on the mainline. Orders that depend on it may start."
    ),
    OrderPhase.FAILED: Word(
        "failed", "bad", "Given up after its last attempt; every attempt has its reason."
    ),
    OrderPhase.CANCELLED: Word(
        "cancelled", "idle", "Stopped by a person or by its run; what it left is salvaged."
    ),
}

RUNS: dict[str, Word] = {
    RunStatus.OPEN: Word("open", "busy", "Being planned, worked on or answered."),
    RunStatus.COMPLETE: Word("complete", "good", "Its orders ended and its reply is made."),
    RunStatus.FAILED: Word("failed", "bad", "It ended without what was asked for; the reason is with it."),
    RunStatus.CANCELLED: Word("cancelled", "idle", "Stopped on request; what was merged stays merged."),
}

SEVERITIES: dict[str, Word] = {
    Severity.LOW: Word("low", "idle", "Good to know."),
    Severity.MEDIUM: Word("medium", "wait", "Look at it today."),
    Severity.HIGH: Word("high", "bad", "Look at it now; work is held or at risk. Also sent to the webhook."),
    Severity.CRITICAL: Word("critical", "bad", "Act now: a watchdog or the ledger cannot be relied on."),
}

CAUSES: dict[str, str] = {
    Cause.TASK: "the work itself; the only cause that uses up the order's retries",
    Cause.PROVIDER_DOWN: "the model provider does not answer; orders are held and one probes it",
    Cause.QUOTA: "the model provider limits us; raise the quota or wait",
    Cause.DISK: "a disk is full or failing; free space and orders resume",
    Cause.AUTH: "the model provider refuses the key; set the right one and restart",
    Cause.POLICY: "a policy refuses the work; change it or cancel the run",
    Cause.LOST_UNIT: "the unit went silent or vanished; its work is salvaged and the order reissued",
}

SUBJECTS: tuple[tuple[str, str, str], ...] = (
    (
        "cause:provider_down",
        "The model provider does not answer.",
        "Nothing, or switch the model's endpoint.",
    ),
    ("cause:quota", "The model provider limits us.", "Wait, or raise the quota."),
    ("cause:auth", "The model provider refuses the key.", "Set IOINTELLIGENCE_API_KEY and restart."),
    ("cause:disk", "A worker cannot write.", "Free space; orders resume by themselves."),
    ("cause:policy", "A policy refuses the work.", "Change the policy, or cancel the run."),
    ("service:NAME", "A service has not been ready for a minute.", "ironclaw logs NAME."),
    ("order:ID", "The order has cost three units.", "Is the host short of memory? Otherwise cancel its run."),
    ("run:ID", "The run is open and nothing of it moves.", "See why it waits on its page, then co's log."),
    ("merge:ID", "Ready and not merged.", "See why it waits on its page, then integration's log."),
    (
        "gates:THEATER/GATE",
        "Merges of the theater halt: a gate is dead or unproven, or gates.toml cannot be read.",
        "See the theater's gates; mend .ironclaw/gates.toml on the mainline.",
    ),
    ("push:THEATER", "The mainline could not be pushed.", "The reason is git's; merge what the remote has."),
    ("weather:ORDER", "The order is foreseen to conflict.", "Nothing: it is merged second, or done again."),
    ("worktree:THEATER/NAME", "A worktree of no known order.", "Look into it; nothing removes it."),
    ("audit:tick_age", "Nobody patrols.", "The sentinel patrols meanwhile; see the duty officer's log."),
    ("audit:backlog", "Open orders grow faster than they are done.", "More workers, or see what holds them."),
    ("audit:recoveries", "Recoveries were begun and led nowhere.", "See why the orders it names wait."),
    (
        "audit:reissue_loop",
        "An order is tried again and again.",
        "Its page has every attempt; cancel its run.",
    ),
)

ENDINGS: dict[str, str] = {
    "ORDER_FAILED": "failed",
    "ORDER_BLOCKED": "blocked",
    "ORDER_REISSUED": "reissued",
    "ORDER_CANCELLED": "cancelled",
    "INTEGRATION_FAILED": "merge refused",
    "RECOVERY_REQUIRED": "not as reported",
}
"""How an attempt ended, by the event that ended it."""

NODES: dict[str, Word] = {
    "online": Word("online", "good", "Heard lately, with room for work."),
    "idle": Word("idle", "good", "Heard lately, with nothing to do."),
    "busy": Word("busy", "busy", "Heard lately, with all the work that it takes."),
    "maintenance": Word("maintenance", "wait", "Says that it is being looked after."),
    "offline": Word("offline", "bad", "Said that it goes."),
    "unknown": Word("unknown", "bad", "Not heard for longer than its heartbeats allow, or never."),
}

SEGMENTS: tuple[tuple[str, str, str], ...] = (
    ("queued", "queued", "in the queue, until a unit claimed it"),
    ("claimed", "claimed", "claimed, until the unit started"),
    ("running", "running", "a unit at work"),
    ("checking", "checked", "reported, until the observer had checked the commit"),
    ("waiting", "in the merge queue", "ready, until the gates' commands ran or the merge passed"),
    ("gates", "in gates", "the gates' commands at work on the merged tree"),
    ("promoting", "promoted", "gated, until the mainline had it"),
)
"""The bars of a waterfall: class, label, meaning."""


def tone_of(word: Word | None) -> Tone:
    """Return how a state looks; one we do not know looks idle."""
    return word.tone if word is not None else "idle"


_TELLING = (
    "reason",
    "summary",
    "title",
    "note",
    "outcome",
    "objective",
    "reply",
    "path",
    "commit_sha",
    "branch",
)


def said_by(payload: dict[str, Any]) -> str:
    """Return what an event says, in its own most telling words."""
    order = payload.get("order")
    artifact = payload.get("artifact")
    for value in (
        *(payload.get(name) for name in _TELLING),
        artifact and artifact.get("path"),
        order and order.get("title"),
    ):
        if isinstance(value, str) and value:
            return value
    figures = payload.get("figures")
    if isinstance(figures, dict):
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items() if value)
    return ""


def pretty(value: object) -> str:
    """Return a value as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
