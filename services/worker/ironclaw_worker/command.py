"""The `command` executor: one program of the theater's allow-list, in the sandbox; its diff is the work."""

import shlex

from ironclaw_contracts.artifacts import Claims
from ironclaw_contracts.commands import COMMAND, command_inputs
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.transcript import Run, ToolCall
from ironclaw_worker.executor import Assignment, Record, TreeWork, WorkFailed
from ironclaw_worker.workbench import Workbench, now

_SHARE_OF_BUDGET = 0.9
"""Of the attempt's time; what is left is for looking at the diff, committing and reporting."""
_TAIL_CHARS = 600
_LINE_CHARS = 120


class CommandExecutor:
    """Runs `inputs.argv` and leaves the worktree as the command left it."""

    name = COMMAND

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench

    async def change(self, assignment: Assignment, record: Record) -> TreeWork:
        """Run the order's command. Raises `WorkFailed` when it may not run, or did not succeed."""
        order = assignment.order
        try:
            inputs = command_inputs(order.inputs)
        except BadRequest as error:
            raise WorkFailed(Cause.TASK, error.message) from error
        policy = await self._workbench.policy(order.theater_id)
        began = now()
        call = ToolCall(
            number=record.next_number,
            tool=COMMAND,
            at=began,
            outcome="refused",
            arguments={"argv": inputs.argv, "folder": inputs.folder},
        )
        try:
            run = await self._workbench.run(
                inputs.argv,
                assignment.worktree,
                policy=policy,
                tools=order.constraints.tool_policy,
                wall_seconds=order.constraints.budget_seconds * _SHARE_OF_BUDGET,
                folder=inputs.folder,
            )
        except WorkFailed as error:
            record.add(call, result=str(error))
            raise
        succeeded = run.exit_code is not None and run.exit_code in inputs.accept
        record.add(call, outcome="done" if succeeded else "failed", run=run)
        if not succeeded:
            line = " ".join(shlex.join(inputs.argv).split())[:_LINE_CHARS]
            raise WorkFailed(Cause.TASK, f"{line}: {how_it_ended(run)}")
        return TreeWork(
            summary=f"{inputs.argv[0]} (exit code {run.exit_code}, {run.wall_seconds:.1f} s)",
            claims=Claims(commands=[inputs.argv]),
        )


def how_it_ended(run: Run) -> str:
    """Return in one sentence how a command ended, with the last that it said."""
    ended = f"exit code {run.exit_code}" if run.exit_code is not None else run.ended
    said = (run.stderr.strip() or run.stdout.strip())[-_TAIL_CHARS:]
    return f"{ended}: {said}" if said else ended
