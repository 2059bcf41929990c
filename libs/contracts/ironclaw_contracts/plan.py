"""A run's plan in METE: mission, elements, tasks, extraction (seed, section 3.2)."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import Line, Profile, Text
from ironclaw_contracts.ids import Id
from ironclaw_contracts.spending import Ceiling

Planner = Literal["playbook", "model", "fallback"]
OnOrderFailure = Literal["replan", "fail", "continue"]
"""What becomes of a run when one of its orders has failed for good: find another way while the budget allows
it, begin nothing more and fail, or do whatever does not depend on that order and complete with it."""


class Element(Struct, frozen=True):
    """Who does the work: a profile and how many tasks it gets."""

    profile: Profile
    tasks: int


class Task(Struct, frozen=True):
    """One order of the plan and what it waits for."""

    order_id: Id
    type: Id
    title: Line
    depends_on: list[Id] = field(default_factory=list[str])


class Extraction(Struct, frozen=True):
    """How the reply is drawn from the work: the orders whose artifacts it is made of."""

    order_ids: list[Id]
    how: Line


class Plan(Struct, frozen=True):
    """What a run will do, before it does it."""

    version: Annotated[int, Meta(ge=1)]
    mission: Text
    elements: list[Element]
    tasks: list[Task]
    extraction: Extraction
    playbook: Id
    planner: Planner
    notes: list[Line] = field(default_factory=list[str])


class Budget(Struct, frozen=True):
    """What a run may spend. A run past `deadline_seconds` is failed by co; `spend` bounds its model calls."""

    max_orders: Annotated[int, Meta(ge=1, le=2_000)] = 500
    max_replans: Annotated[int, Meta(ge=0, le=20)] = 2
    deadline_seconds: Annotated[int, Meta(ge=1, le=604_800)] = 3_600
    spend: Ceiling = Ceiling()
