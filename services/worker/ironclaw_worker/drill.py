"""Commit a planted fault: the first attempt of a drill order does harm, each in a way units really do.

Only in the drill theater, so that no order of a user can ask for it.
"""

import asyncio
import hashlib
import shutil
from pathlib import Path

from msgspec.structs import replace

import ironclaw_git
from ironclaw_contracts.artifacts import AAR_FILE, Aar, ModelUse, Order
from ironclaw_contracts.drills import DRILL, DRILL_THEATER, Fault
from ironclaw_worker.executor import Assignment, Work
from ironclaw_worker.material import Document
from ironclaw_worker.report import Deliverable, encode_file

_HANG_SECONDS = 86_400


class Vanished(Exception):
    """The unit is gone without a word, as if its process had been killed."""


class DrillExecutor:
    """Does the work of a drill order whose unit behaves; no model is asked."""

    name = "drill"

    async def execute(self, assignment: Assignment, task: str, material: list[Document]) -> Work:
        """Write one line."""
        text = "This unit did its work."
        return Work(text=text, model=ModelUse(provider="drill", name="none"), summary=text)


def planted_fault(order: Order, attempt: int) -> Fault | None:
    """Return the fault that this attempt has to commit; None for every order outside the drill theater."""
    fault = order.inputs.get("fault")
    if order.type != DRILL or order.theater_id != DRILL_THEATER or attempt != 1 or fault not in set(Fault):
        return None
    return Fault(str(fault))


async def commit_fault(
    fault: Fault, worktree: Path, product: Deliverable, report: Aar, person: ironclaw_git.Person
) -> tuple[Aar, bytes, str]:
    """Do harm in the worktree; return the report, its bytes and the commit that the unit will claim.

    Raises `Vanished` where the unit says nothing more, and never returns where it hangs.
    """
    head = (await ironclaw_git.status(worktree)).head
    match fault:
        case Fault.VANISH:
            raise Vanished
        case Fault.HANG:
            await asyncio.sleep(_HANG_SECONDS)
        case Fault.DELETE_WORKTREE:
            await asyncio.to_thread(shutil.rmtree, worktree)
            raise Vanished
        case Fault.LIE:
            lie = replace(product.artifact, sha256=hashlib.sha256(b"what it never wrote").hexdigest())
            report = replace(report, artifacts=[lie])
        case Fault.SILENT | Fault.UNCOMMITTED:
            pass
    written = encode_file(report)
    await asyncio.to_thread(_write, worktree, product, None if fault is Fault.SILENT else written)
    if fault is not Fault.UNCOMMITTED:
        head = await ironclaw_git.commit_all(worktree, f"drill: {fault}", person)
    return report, written, head


def _write(worktree: Path, product: Deliverable, report: bytes | None) -> None:
    target = worktree / product.artifact.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(product.content)
    if report is not None:
        (worktree / AAR_FILE).write_bytes(report)
