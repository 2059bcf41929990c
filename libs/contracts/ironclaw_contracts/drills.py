"""Drills: faults that units commit on purpose, in a scratch theater, to see whether the patrol finds them."""

from enum import StrEnum

DRILL_THEATER = "drill"
DRILL = "drill"
"""The playbook, and the type of its orders. Units obey it only in the drill theater."""
DRILL_OBJECTIVE = "A drill: every unit commits a fault, and the patrol has to find it."
DRILL_BUDGET_SECONDS = 5


class Fault(StrEnum):
    """What the unit of a drill order does on its first attempt; the next one does the work."""

    VANISH = "vanish"
    HANG = "hang"
    SILENT = "silent"
    LIE = "lie"
    UNCOMMITTED = "uncommitted"
    DELETE_WORKTREE = "delete_worktree"


EXPECTED_RULE: dict[Fault, str] = {
    Fault.VANISH: "lost_unit",
    Fault.HANG: "failed",
    Fault.SILENT: "invalid",
    Fault.LIE: "invalid",
    Fault.UNCOMMITTED: "invalid",
    Fault.DELETE_WORKTREE: "lost_unit",
}
"""The rule of the patrol that has to meet each fault."""
