"""The job message on the queue (seed, section 4). It only names the order: snapshot and lease are the job."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ironclaw_contracts.artifacts import Constraints, Profile, ToolPolicy
from ironclaw_contracts.ids import Attempt, Id
from ironclaw_contracts.snapshots import OrderSnapshot

QUEUE_NAME = "ironclaw:orders"


class JobMessage(Struct, frozen=True, kw_only=True):
    """One order to execute. The unit that claims the order names itself; `unit_id` is only proposed."""

    job_type: Literal["EXECUTE_ORDER"] = "EXECUTE_ORDER"
    order_id: Id
    run_id: Id
    theater_id: Id
    worktree_path: str
    attempt: Attempt
    task_type: Id | None = None
    """The order's type: the unit says with its claim what will do such work. None: it asks the ledger."""
    rescue: Annotated[int, Meta(ge=0)] = 0
    unit_id: Id | None = None
    profile: Profile
    constraints: Constraints
    tool_policy: ToolPolicy
    traceparent: Annotated[str, Meta(max_length=200)] | None = None
    """W3C trace context: the unit's work belongs to the trace of the chat."""

    @property
    def job_id(self) -> str:
        """`order:attempt`, so that enqueueing twice queues once; a rescued job has an id of its own.

        A job that died with its consumer stays marked as running in Redis; under its old id it would wait
        for that mark to expire. Claiming is fenced, so a second job for an attempt does no harm.
        """
        return f"{self.order_id}:{self.attempt}" + (f":rescue-{self.rescue}" if self.rescue else "")


def job_of(order: OrderSnapshot, worktree_path: str, rescue: int = 0) -> JobMessage:
    """Return the message that names an order's present attempt on the queue."""
    return JobMessage(
        order_id=order.order_id,
        run_id=order.run_id,
        theater_id=order.theater_id,
        worktree_path=worktree_path,
        attempt=order.attempt,
        task_type=order.order.type,
        rescue=rescue,
        profile=order.order.profile,
        constraints=order.order.constraints,
        tool_policy=order.order.constraints.tool_policy,
        traceparent=order.traceparent,
    )
