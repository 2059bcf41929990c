"""The call_summary playbook: a filesystem mission with inputs/, context/ and outputs/.

The transcript of a call lies under `inputs/` of the theater (or comes as `inputs.transcript`), what is known
beforehand under `context/`. Notes and action items are drawn up side by side, then joined.
"""

import re
from typing import Any

from ironclaw_co.draft_plan import CannotPlan, DraftPlan, DraftTask, Wish, output_folder

_WORD = re.compile(r"\bcall\b", re.IGNORECASE)
_SUFFIXES = (".md", ".txt", ".vtt", ".srt")


def is_asked(wish: Wish) -> bool:
    """Tell whether the words name a call."""
    return _WORD.search(wish.objective) is not None


def material(wish: Wish) -> dict[str, Any]:
    """Return the order inputs that hold the transcript, none when there is no transcript."""
    text = wish.inputs.get("transcript")
    if isinstance(text, str) and text.strip():
        return {"text": text}
    calls = [path for path in wish.files if path.startswith("inputs/") and path.endswith(_SUFFIXES)]
    return {"files": calls} if calls else {}


def plan(wish: Wish) -> DraftPlan:
    """Return orders for notes and actions, and a last one that joins them.

    Raises `CannotPlan` when there is no transcript.
    """
    transcript = material(wish)
    if not transcript:
        raise CannotPlan(
            "no transcript: put one under inputs/ of the theater, or send it as inputs.transcript"
        )
    context = [p for p in wish.files if p.startswith("context/") and p.endswith(_SUFFIXES)]
    folder = output_folder(wish.run_id)
    notes, actions, summary = (f"{folder}/{name}.md" for name in ("notes", "actions", "call_summary"))
    return DraftPlan(
        playbook="call_summary",
        planner="playbook",
        tasks=(
            DraftTask(
                type="summarize",
                title="Notes of the call",
                objective=f"Write the notes of this call: topics, facts, decisions. {wish.objective}",
                inputs={**transcript, "context": context, "output": notes},
            ),
            DraftTask(
                type="draft",
                title="Action items of the call",
                objective="List the action items of this call: who does what, by when; only what was said.",
                inputs={**transcript, "context": context, "output": actions},
            ),
            DraftTask(
                type="synthesize",
                title="Summary of the call",
                objective=wish.objective,
                inputs={"files": [notes, actions], "output": summary},
                after=(0, 1),
            ),
        ),
        final=(2,),
        how="the summary over notes and actions",
    )
