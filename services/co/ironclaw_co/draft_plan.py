"""What a playbook makes: tasks that name each other by index, before they have order ids."""

from typing import Any

from msgspec import Struct, field

from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.commands import TheaterPolicy
from ironclaw_contracts.plan import Planner


class Wish(Struct, frozen=True):
    """What a run asks for, as a playbook sees it. `files` are the paths on the theater's mainline.

    `policy` is the theater's, which says what its orders may run.
    """

    run_id: str
    objective: str
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    files: tuple[str, ...] = ()
    policy: TheaterPolicy = TheaterPolicy()


class DraftTask(Struct, frozen=True):
    """One order to be; `after` holds the indices of the tasks it waits for.

    `budget_seconds` is what one attempt gets where the run says nothing.
    """

    type: str
    title: str
    objective: str
    inputs: dict[str, Any]
    after: tuple[int, ...] = ()
    budget_seconds: int = Constraints().budget_seconds


class DraftPlan(Struct, frozen=True):
    """Tasks in an order in which each comes after what it waits for; the reply is made of `final` tasks."""

    playbook: str
    planner: Planner
    tasks: tuple[DraftTask, ...]
    final: tuple[int, ...]
    how: str
    notes: tuple[str, ...] = ()


class CannotPlan(Exception):
    """The playbook does not fit what was asked; the message says what is missing and the mend."""


def output_folder(run_id: str) -> str:
    """Return the folder of a run's artifacts: its own, so that runs never collide."""
    return f"outputs/{run_id}"
