"""From work to a commit: outputs or the changed tree, transcript, report, and the commit that holds them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

import ironclaw_git
from ironclaw_contracts.artifacts import AAR_FILE, STATE_FILE, TRANSCRIPT_FILE, Aar
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.transcript import encode_transcript
from ironclaw_worker.changes import change_set, violations, write_beside
from ironclaw_worker.drill import commit_fault, planted_fault
from ironclaw_worker.executor import Assignment, Executor, Record, TreeExecutor, WorkFailed
from ironclaw_worker.material import allowed_path, read_material, read_task
from ironclaw_worker.report import aar, deliverable, encode_file, state_file, tree_aar

_NAMED_MAX = 5


class Delivered(Struct, frozen=True):
    """A report as it stands in the commit that the unit claims."""

    report: Aar
    report_bytes: bytes
    commit_sha: str


async def deliver_text(assignment: Assignment, executor: Executor) -> Delivered:
    """Have a text written, and commit it with its report. Raises what the executor raises."""
    order, worktree = assignment.order, assignment.worktree
    material, task = await asyncio.to_thread(lambda: (read_material(worktree, order), read_task(worktree)))
    work = await executor.execute(assignment, task, material)
    assignment.progressed()
    product = deliverable(order, work)
    report = aar(order, work, [product.artifact], datetime.now(UTC))
    fault = planted_fault(order, assignment.attempt)
    if fault is not None:
        return Delivered(*await commit_fault(fault, worktree, product, report, author_of(assignment)))
    allowlist = order.constraints.tool_policy.fs_allowlist

    def write() -> None:
        target = allowed_path(worktree.resolve(), product.artifact.path, allowlist)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(product.content)

    return await _commit_report(assignment, report, write)


async def deliver_tree(assignment: Assignment, executor: TreeExecutor) -> Delivered:
    """Have the worktree changed, judge the change, and commit it; the transcript is kept whatever happens.

    Raises `WorkFailed` when the change breaks the order's paths: nothing of it is committed then.
    """
    record = Record()
    try:
        work = await executor.change(assignment, record)
        assignment.progressed()
        await check_paths(assignment)
    finally:
        await asyncio.to_thread(
            write_beside, assignment.worktree, TRANSCRIPT_FILE, encode_transcript(record.calls)
        )
    head = await ironclaw_git.commit_all(
        assignment.worktree, _message(assignment, work.summary), author_of(assignment)
    )
    changes = await change_set(assignment.worktree, assignment.base_commit, head)
    assignment.progressed()
    report = tree_aar(assignment.order, work, changes, record.calls, datetime.now(UTC))
    return await _commit_report(assignment, report)


async def check_paths(assignment: Assignment) -> None:
    """Raise `WorkFailed` naming the paths that the order may not change in this way."""
    broken = await violations(assignment.worktree, assignment.order.constraints.tool_policy)
    if broken:
        named = "; ".join(f"{one.path} {one.reason}" for one in broken[:_NAMED_MAX])
        more = f" (and {len(broken) - _NAMED_MAX} more)" if len(broken) > _NAMED_MAX else ""
        raise WorkFailed(Cause.TASK, f"the change breaks its paths: {named}{more}")


def author_of(assignment: Assignment) -> ironclaw_git.Person:
    """Return who a unit's commits are by."""
    return ironclaw_git.Person(assignment.unit_id, f"{assignment.unit_id}@ironclaw.localhost")


async def _commit_report(
    assignment: Assignment, report: Aar, write_work: Callable[[], None] = lambda: None
) -> Delivered:
    """Commit what is in the worktree with its report, once the work was written."""
    encoded = encode_file(report)
    state = state_file(assignment.order, assignment.attempt, "reported", report.completed_at)
    worktree: Path = assignment.worktree

    def write() -> None:
        write_work()
        write_beside(worktree, AAR_FILE, encoded)
        write_beside(worktree, STATE_FILE, state)

    await asyncio.to_thread(write)
    commit_sha = await ironclaw_git.commit_all(
        worktree, _message(assignment, report.summary), author_of(assignment)
    )
    assignment.progressed()
    return Delivered(report, encoded, commit_sha)


def _message(assignment: Assignment, summary: str) -> str:
    order = assignment.order
    first = " ".join(summary.split())[:72]
    return f"{order.type}: {first}\n\nOrder: {order.order_id}\nUnit: {assignment.unit_id}"
