"""Ask a model for a task chain. A plan that does not hold falls back to one draft order, and says so."""

import structlog

from ironclaw_chassis.model import ModelClient, ModelError, Payer
from ironclaw_co.draft_plan import CannotPlan, DraftPlan, Wish
from ironclaw_co.planner import from_model

log = structlog.get_logger()

_TIMEOUT_SECONDS = 45.0
_FILES_SHOWN_MAX = 400
_PROFILE = "planner"

_SYSTEM = """You plan work on a git repository. Answer with JSON only:
{"tasks": [{"title": "...", "objective": "...", "files": ["path", ...], "after": [1, ...]}]}
Each task is done by one worker who sees only its objective, its files and the outputs of the tasks it comes
after. `after` holds positions (from 1) of earlier tasks. `files` are existing paths. Prefer few tasks and
tasks that can run side by side; the last task writes the answer to the user."""


class ModelPlanner:
    """Plans with a model; `tasks_max` bounds the chain."""

    def __init__(self, client: ModelClient, model: str, tasks_max: int) -> None:
        self._client = client
        self._model = model
        self._tasks_max = tasks_max

    async def plan(self, wish: Wish) -> DraftPlan:
        """Return the model's plan. Raises `CannotPlan` when there is none that holds."""
        files = "\n".join(wish.files[:_FILES_SHOWN_MAX])
        user = f"At most {self._tasks_max} tasks.\n\nFiles:\n{files}\n\nThe user asks:\n{wish.objective}"
        try:
            answer = await self._client.complete(
                *(self._model, _SYSTEM, user, Payer(run_id=wish.run_id, profile=_PROFILE)),
                temperature=0.1,
                timeout_seconds=_TIMEOUT_SECONDS,
            )
        except ModelError as error:
            raise CannotPlan(f"the planning model did not answer: {error}") from error
        log.info(
            "model planned", run_id=wish.run_id, tokens_in=answer.tokens_in, tokens_out=answer.tokens_out
        )
        return from_model(answer.text, wish, self._tasks_max)
