"""The loop: ask the model, do what it calls for, tell it, commit; until it finishes or a limit is met."""

import asyncio
import time

import structlog

import ironclaw_git
from ironclaw_chassis.model import (
    PROVIDER,
    Message,
    ModelClient,
    ModelError,
    ModelRequest,
    Reply,
    ToolRequest,
)
from ironclaw_contracts.artifacts import TRANSCRIPT_FILE, Claims, ModelUse
from ironclaw_contracts.commands import AGENT, AgentInputs, TheaterPolicy, agent_inputs
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.transcript import Outcome, Run, ToolCall, encode_transcript
from ironclaw_worker.agent import tools
from ironclaw_worker.agent.conversation import opening, replayed, told, with_room
from ironclaw_worker.agent.hands import Hands, Refused, shown
from ironclaw_worker.agent.resuming import resume
from ironclaw_worker.changes import violations, write_beside
from ironclaw_worker.executor import Assignment, Record, TreeWork, WorkFailed
from ironclaw_worker.material import read_task
from ironclaw_worker.workbench import Workbench, now

log = structlog.get_logger()

_TEMPERATURE = 0.2
_SHARE_OF_BUDGET = 0.9
_COMMAND_SHARE = 0.5
"""Of the time that is left, the most that one command of the agent gets."""
_CALL_SECONDS_MAX = 300.0
_MALFORMED_MAX = 5
"""So many in a row, and the model is not able to use tools."""
_CHANGING = (tools.WriteFile, tools.EditFile, tools.RunCommand)


class AgentExecutor:
    """Has a model do an order with tools. Everything it may do is decided here and below, not by it."""

    name = AGENT

    def __init__(self, client: ModelClient, default_model: str, workbench: Workbench) -> None:
        self._client = client
        self._default_model = default_model
        self._workbench = workbench

    async def change(self, assignment: Assignment, record: Record) -> TreeWork:
        """Do the order. Raises `WorkFailed` when a limit is met, and `ModelError`."""
        order = assignment.order
        if not self._client.available:
            raise WorkFailed(Cause.AUTH, "an agent needs a model, and no key is set: IOINTELLIGENCE_API_KEY")
        try:
            inputs = agent_inputs(order.inputs)
        except BadRequest as error:
            raise WorkFailed(Cause.TASK, error.message) from error
        policy = await self._workbench.policy(order.theater_id)
        taken = await resume(assignment)
        record.calls.extend(taken.calls)
        task = await asyncio.to_thread(read_task, assignment.worktree)
        messages = [*opening(order, task, inputs, policy), *replayed(taken.calls)]
        if taken.stale:
            said = f"Changed on the mainline since, so not taken over: {', '.join(taken.stale[:20])}"
            messages.append(Message(role="user", content=said))
        session = _Session(self._client, self._workbench, assignment, record, inputs, policy)
        return await session.run(order.profile.model or self._default_model, messages)


class _Session:
    """One agent at work."""

    def __init__(
        self,
        client: ModelClient,
        workbench: Workbench,
        assignment: Assignment,
        record: Record,
        inputs: AgentInputs,
        policy: TheaterPolicy,
    ) -> None:
        self._client = client
        self._workbench = workbench
        self._assignment = assignment
        self._record = record
        self._inputs = inputs
        self._policy = policy
        self._hands = Hands(assignment.worktree, assignment.order.constraints.tool_policy)
        self._deadline = time.monotonic() + assignment.order.constraints.budget_seconds * _SHARE_OF_BUDGET
        self._replies: list[Reply] = []
        self._malformed = 0

    async def run(self, model: str, messages: list[Message]) -> TreeWork:
        """Converse until the model finishes."""
        while True:
            reply = await self._ask(model, messages)
            if not reply.tool_calls:
                return self._work(reply.text, Claims())
            messages.append(Message(role="assistant", content=reply.text, tool_calls=reply.tool_calls))
            changed = False
            for request in reply.tool_calls:
                call, parsed = await self._do(request)
                if isinstance(parsed, tools.Finish) and call.outcome == "done":
                    claims = Claims(parsed.commands, parsed.files_changed, parsed.tests_passed)
                    return self._work(parsed.summary, claims)
                changed = changed or (isinstance(parsed, _CHANGING) and call.outcome != "refused")
                messages.append(Message(role="tool", tool_call_id=request.call_id, content=told(call)))
            if changed:
                complaint = await self._commit()
                if complaint:
                    messages.append(Message(role="user", content=complaint))

    async def _ask(self, model: str, messages: list[Message]) -> Reply:
        request = ModelRequest(
            model=model,
            messages=tuple(with_room(messages)),
            temperature=_TEMPERATURE,
            output_tokens_max=self._client.output_tokens_max,
            tools=tools.specs(),
        )
        used = sum(reply.tokens_in + reply.tokens_out for reply in self._replies)
        if used + request.output_tokens_max > self._inputs.tokens_max:
            raise WorkFailed(
                Cause.TASK, f"{used} tokens are used; inputs.tokens_max is {self._inputs.tokens_max}"
            )
        seconds = min(self._seconds_left(), _CALL_SECONDS_MAX)
        try:
            reply = await self._client.ask(request, self._assignment.payer(), timeout_seconds=seconds)
        except ModelError:
            # A provider that has answered before is not down because the order's own time ran out on it.
            if self._replies:
                self._seconds_left()
            raise
        self._replies.append(reply)
        self._assignment.progressed()
        return reply

    async def _do(self, request: ToolRequest) -> tuple[ToolCall, tools.Call | None]:
        """Do one call and record it, whatever it comes to."""
        if self._record.next_number > self._inputs.calls_max:
            limit = f"{self._inputs.calls_max} tool calls are used, which is inputs.calls_max"
            raise WorkFailed(Cause.TASK, f"{limit}; the work was not finished")
        arguments = tools.loose_arguments(request.arguments)
        written = {"text": shown(request.arguments)} if arguments is None else arguments
        call = ToolCall(
            number=self._record.next_number,
            tool=shown(request.name)[:100],
            at=now(),
            outcome="done",
            arguments=written,
        )
        try:
            parsed = tools.parse(request)
        except tools.Malformed as error:
            self._malformed += 1
            kept = self._record.add(call, outcome="malformed", result=shown(str(error)))
            if self._malformed >= _MALFORMED_MAX:
                raise WorkFailed(
                    Cause.TASK, f"the model made {_MALFORMED_MAX} malformed calls in a row, the last: {error}"
                ) from error
            return kept, None
        self._malformed = 0
        outcome, result, run = await self._act(parsed)
        kept = self._record.add(call, outcome=outcome, result=shown(result), run=run)
        self._assignment.progressed()
        return kept, parsed

    async def _act(self, call: tools.Call) -> tuple[Outcome, str, Run | None]:
        try:
            match call:
                case tools.ListFiles():
                    return "done", await asyncio.to_thread(self._hands.list, call), None
                case tools.ReadFile():
                    return "done", await asyncio.to_thread(self._hands.read, call), None
                case tools.SearchFiles():
                    return "done", await asyncio.to_thread(self._hands.search, call), None
                case tools.WriteFile():
                    return "done", await asyncio.to_thread(self._hands.write, call), None
                case tools.EditFile():
                    return "done", await asyncio.to_thread(self._hands.edit, call), None
                case tools.RunCommand():
                    run = await self._run(call)
                    return ("done" if run.exit_code == 0 else "failed"), "", run
                case tools.Finish():
                    return "done", "", None
        except (Refused, WorkFailed) as error:
            return "refused", str(error), None

    async def _run(self, call: tools.RunCommand) -> Run:
        return await self._workbench.run(
            call.argv,
            self._assignment.worktree,
            policy=self._policy,
            tools=self._assignment.order.constraints.tool_policy,
            wall_seconds=self._seconds_left() * _COMMAND_SHARE,
            folder=call.folder,
        )

    async def _commit(self) -> str:
        """Commit the step with the record so far; return what the model must put right first, if anything."""
        worktree = self._assignment.worktree
        broken = await violations(worktree, self._assignment.order.constraints.tool_policy)
        if broken:
            named = "; ".join(f"{one.path} {one.reason}" for one in broken[:10])
            return f"Not committed, and the order fails unless you put this right: {named}"
        await asyncio.to_thread(
            write_beside, worktree, TRANSCRIPT_FILE, encode_transcript(self._record.calls)
        )
        unit = self._assignment.unit_id
        message = (
            f"agent: step {len(self._record.calls)}\n\nOrder: {self._assignment.order.order_id}\nUnit: {unit}"
        )
        author = ironclaw_git.Person(unit, f"{unit}@ironclaw.localhost")
        await ironclaw_git.commit_all(worktree, message, author)
        return ""

    def _seconds_left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise WorkFailed(Cause.TASK, "the order's time is spent; the work was not finished")
        return left

    def _work(self, summary: str, claims: Claims) -> TreeWork:
        use = ModelUse(
            provider=PROVIDER,
            name=self._replies[-1].model[:200],
            temperature=_TEMPERATURE,
            tokens_in=sum(reply.tokens_in for reply in self._replies),
            tokens_out=sum(reply.tokens_out for reply in self._replies),
        )
        return TreeWork(
            summary=" ".join(summary.split())[:2_000] or "done",
            claims=claims,
            model=use,
            cost_microusd=sum(reply.cost_microusd for reply in self._replies),
            model_calls=len(self._replies),
        )
