"""Routing: which skills fit a task, and the bundle that a runtime is handed."""

from collections.abc import Iterable

from msgspec import Struct

from appleseed_evolution.contract import to_json
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.skills import Skill, tokens

_NAME, _TAG, _DESCRIPTION, _EXAMPLE, _WHOLE_TASK = 4.0, 2.0, 1.5, 1.0, 3.0


class Match(Struct, frozen=True):
    """A skill that fits a task, and why."""

    skill: Skill
    score: float
    matched_terms: tuple[str, ...]


def rank(skills: Iterable[Skill], task: str, *, count_max: int) -> tuple[Match, ...]:
    """Return the skills that fit a task best, the best first; ties by name."""
    matches = [match for skill in skills if (match := _match(skill, task)).score > 0]
    matches.sort(key=lambda match: (-match.score, match.skill.name, match.skill.id))
    return tuple(matches[:count_max])


def _match(skill: Skill, task: str) -> Match:
    words = set(tokens(task))
    parts = (
        (_NAME, words & set(tokens(skill.name))),
        (_TAG, words & set(tokens(" ".join(skill.tags)))),
        (_DESCRIPTION, words & set(tokens(skill.description))),
        (_EXAMPLE, words & set(tokens(" ".join(skill.examples)))),
    )
    score = sum(weight * len(found) for weight, found in parts)
    if task.strip() and task.strip().lower() in skill.description.lower():
        score += _WHOLE_TASK
    return Match(skill, score, tuple(sorted(set[str]().union(*(found for _, found in parts)))))


def prompt_bundle(task: str, matches: Iterable[Match]) -> str:
    """Return the text that a runtime puts before its model: the task and what the skills instruct."""
    lines = [f"Task: {task}"]
    for match in matches:
        lines += ["", f"Skill: {match.skill.name} ({match.skill.id})", match.skill.description]
        lines += [f"- {instruction}" for instruction in match.skill.instructions]
    return "\n".join(lines)


def route_answer(session_id: str, task: str, matches: tuple[Match, ...]) -> JsonObject:
    """Return the answer to a route request."""
    return {
        "session_id": session_id,
        "task": task,
        "selected_skills": [to_json(match) for match in matches],
        "prompt_bundle": prompt_bundle(task, matches),
        "next_action": (
            "Run the task with the selected skills, then record feedback for this session."
            if matches
            else "No skill fits: run the task without one, and name the missing capability in the feedback."
        ),
    }
