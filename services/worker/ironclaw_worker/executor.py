"""What does the work of an order: executors that write a text, and those that change the worktree.

The `model` executor is one call to a model, or the offline provider where no key is configured.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from ironclaw_chassis.model import PROVIDER, ModelClient, Payer
from ironclaw_contracts.artifacts import Claims, Effort, ModelUse, Order
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.transcript import Outcome, Run, ToolCall
from ironclaw_worker.material import Document
from ironclaw_worker.offline.respond import respond
from ironclaw_worker.prompt import SYSTEM, user_message

_TEMPERATURE = 0.2
OFFLINE_PROVIDER = "offline"


class Work(Struct, frozen=True):
    """What an executor made: the text, who made it, and one sentence about it."""

    text: str
    model: ModelUse
    summary: str
    notes: tuple[str, ...] = ()
    effort: Effort | None = None


class WorkFailed(Exception):
    """The work cannot be done, or came out wrong; `cause` says whose fault that is."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class Assignment(Struct, frozen=True):
    """One attempt at an order, in its worktree. `progressed` is called when the unit got on.

    `lost_attempt` is the one before, when it ended for no fault of the task: its work may be gone on with.
    """

    order: Order
    attempt: int
    unit_id: str
    worktree: Path
    base_commit: str
    lost_attempt: int | None
    progressed: Callable[[], None]

    def payer(self) -> Payer:
        """Return who pays for its model calls."""
        return Payer(
            run_id=self.order.run_id,
            order_id=self.order.order_id,
            attempt=self.attempt,
            unit_id=self.unit_id,
            profile=self.order.profile.name,
        )


class Record:
    """The attempt's tool calls as they happen; kept whatever becomes of the attempt."""

    def __init__(self, calls: list[ToolCall] | None = None) -> None:
        self.calls: list[ToolCall] = calls or []

    @property
    def next_number(self) -> int:
        """The number of the next call."""
        return len(self.calls) + 1

    def add(
        self, call: ToolCall, *, outcome: Outcome | None = None, result: str = "", run: Run | None = None
    ) -> ToolCall:
        """Keep a call with what came of it."""
        kept = msgspec.structs.replace(call, outcome=outcome or call.outcome, result=result, run=run)
        self.calls.append(kept)
        return kept


class TreeWork(Struct, frozen=True):
    """What was done to the worktree, in one sentence, and what its author claims."""

    summary: str
    claims: Claims
    model: ModelUse | None = None
    notes: tuple[str, ...] = ()
    cost_microusd: int = 0
    model_calls: int = 0


class TreeExecutor(Protocol):
    """Does an order by changing files of its worktree."""

    name: str

    async def change(self, assignment: Assignment, record: Record) -> TreeWork:
        """Change the worktree; what is left uncommitted there is judged and committed by the caller.

        Raises `WorkFailed` and `ModelError`; the caller bounds the time.
        """
        ...


class Executor(Protocol):
    """Does an order by writing a text."""

    name: str

    async def execute(self, assignment: Assignment, task: str, material: list[Document]) -> Work:
        """Return the work; `task` is the text of task.md. Raises `ModelError`; the caller bounds the time."""
        ...


class ModelExecutor:
    """One completion from a provider."""

    name = "model"

    def __init__(self, client: ModelClient, default_model: str) -> None:
        self._client = client
        self._default_model = default_model

    async def execute(self, assignment: Assignment, task: str, material: list[Document]) -> Work:
        """Ask the profile's model, or the default one."""
        order = assignment.order
        answer = await self._client.complete(
            order.profile.model or self._default_model,
            SYSTEM,
            user_message(order, task, material),
            assignment.payer(),
            temperature=_TEMPERATURE,
            timeout_seconds=float(order.constraints.budget_seconds),
        )
        use = ModelUse(
            provider=PROVIDER,
            name=answer.model,
            temperature=_TEMPERATURE,
            tokens_in=answer.tokens_in,
            tokens_out=answer.tokens_out,
        )
        effort = Effort(
            model_calls=1,
            tokens_in=answer.tokens_in,
            tokens_out=answer.tokens_out,
            cost_microusd=answer.cost_microusd,
        )
        return Work(text=answer.text, model=use, summary=_first_line(answer.text), effort=effort)


class OfflineExecutor:
    """Extracts and outlines, made here without a model, and labelled so."""

    name = "offline"

    async def execute(self, assignment: Assignment, task: str, material: list[Document]) -> Work:
        """Respond deterministically, off the event loop."""
        order = assignment.order
        reply = await asyncio.to_thread(respond, order.type, order.objective, material)
        return Work(
            text=reply.text,
            model=ModelUse(provider=OFFLINE_PROVIDER, name=reply.kind),
            summary=_first_line(reply.text),
            notes=("made by the offline provider, without a model",),
        )


def _first_line(text: str) -> str:
    lines = (line.strip("# *-").strip() for line in text.splitlines())
    return next((line for line in lines if line), "no text")[:500]
