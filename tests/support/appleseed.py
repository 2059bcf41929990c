"""An Appleseed workspace in a temporary folder, the contract's samples, and payloads at random."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

from hypothesis import strategies as st

from appleseed_evolution.config import make_config
from appleseed_evolution.contract import STATUSES
from appleseed_evolution.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "demo"
CASE: dict[str, Any] = json.loads(
    (ROOT / "tests" / "vectors" / "appleseed" / "appleseed_evolution.json").read_text()
)
NOW = datetime(2026, 3, 13, 18, 30, tzinfo=UTC)


def make_workspace(folder: Path, skills: list[dict[str, Any]] | None = None) -> Workspace:
    """Make a workspace with the worked case's skills, or others."""
    make_config(folder / "appleseed.toml")
    for skill in CASE["skills"] if skills is None else skills:
        (folder / "skills" / f"{skill['id']}.json").write_text(json.dumps(skill, indent=2))
    return Workspace.open(folder / "appleseed.toml")


def copy_samples(folder: Path) -> Path:
    """Copy the demo folder that the contract's commands name, and return the folder to run them in."""
    shutil.copytree(SAMPLES, folder / "demo", ignore=shutil.ignore_patterns("state"))
    return folder


def appleseed(
    *words: str, cwd: Path, given: bytes = b"", code: int = 0, env: dict[str, str] | None = None
) -> str:
    """Run the command, check its exit code, and return what it printed; an error's text when it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "appleseed_evolution.cli", *words],
        cwd=cwd,
        input=given,
        capture_output=True,
        env=env,
        timeout=60,
        check=False,
    )
    said = done.stderr.decode()
    assert done.returncode == code, f"exit {done.returncode}: {said}{done.stdout.decode()}"
    assert "Traceback" not in said, said
    return said if code else done.stdout.decode()


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a ledger."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def sample(name: str) -> dict[str, Any]:
    """Return one of the contract's sample payloads."""
    return json.loads((SAMPLES / name).read_text())


def feedback_event(session_id: str, /, **changes: Any) -> dict[str, Any]:
    """Return a bare feedback event."""
    return {
        "event_kind": "session_feedback",
        "source": "test",
        "session_id": session_id,
        "task": "review a change",
        "status": "failure",
        "score": 0.2,
    } | changes


def envelope(session_id: str, /, **changes: Any) -> dict[str, Any]:
    """Return an envelope of feedback with ids of its own."""
    event = feedback_event(session_id, event_id=str(uuid4()), **changes)
    return {"envelope_id": str(uuid4()), "source": event.pop("source"), "event": event}


# Any text that JSON can carry: unpaired surrogates and NUL among it.
texts = st.text(st.characters(), max_size=20)
words = texts.filter(lambda text: bool(text.strip()))
numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
objects = st.dictionaries(texts, values, max_size=3)
instants = st.datetimes(
    datetime(1990, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-720, 720)),
).map(datetime.isoformat)
scores = st.floats(0, 1).flatmap(lambda score: st.sampled_from([score, str(score)]))

_shared = {
    "session_id": words,
    "task": words,
    "event_kind": st.just("session_started"),
}
_optional = {
    "schema_version": st.just("1.1"),
    "event_id": st.uuids().map(str),
    "occurred_at": instants,
    "steps": st.lists(texts, max_size=3),
    "selected_skill_ids": st.lists(texts, max_size=3),
    "missing_capabilities": st.lists(texts, max_size=3),
    "metadata": objects,
    "surprise": values,
    "unknown": values,
}
_feedback = {
    "event_kind": st.just("session_feedback"),
    "status": st.sampled_from(STATUSES),
    "score": scores,
}
events = st.one_of(
    st.fixed_dictionaries(_shared, optional=_optional),
    st.fixed_dictionaries({**_shared, **_feedback}, optional={**_optional, "comment": texts}),
)
envelopes = st.fixed_dictionaries(
    {"source": words, "event": events},
    optional={
        "contract_name": st.just("openclaw_appleseed.runtime_event"),
        "contract_version": st.just("1.0"),
        "envelope_id": st.uuids().map(str),
        "recorded_at": instants,
        "metadata": objects,
        "surprise": values,
        "unknown": values,
    },
)
bare_events = st.builds(lambda event, source: {**event, "source": source}, events, words)
items = st.one_of(envelopes, bare_events)
batches = st.fixed_dictionaries(
    {"events": st.lists(st.one_of(items, events), min_size=1, max_size=4), "source": words},
    optional={"metadata": objects, "contract_version": st.just("1.0"), "surprise": values},
)
payloads = st.one_of(items, st.lists(items, min_size=1, max_size=4), batches)
"""Payloads that the contract allows, in each of its forms."""
