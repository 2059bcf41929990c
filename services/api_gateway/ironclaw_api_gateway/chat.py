"""Chat: a message becomes a run, and the run's reply the answer."""

from ironclaw_api_gateway.endings import Endings
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import co
from ironclaw_contracts.endpoints.api_gateway import ChatAnswer, ChatRequest
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.snapshots import RunSnapshot

ANONYMOUS = ChatRequest(message="-").user_id


class Chat:
    """Starts runs and waits for them. A caller that goes away does not cancel its run."""

    def __init__(self, client: ServiceClient, endings: Endings) -> None:
        self._client = client
        self._endings = endings

    async def ask(self, request: ChatRequest, caller_name: str) -> ChatAnswer:
        """Start a run; in `sync` mode answer when it ends or the deadline passes, else at once.

        The run's id is chosen here, before co is asked: however often co is asked, there is one run.
        """
        run_request = co.RunRequest(
            user_id=caller_name if request.user_id == ANONYMOUS else request.user_id,
            objective=request.message,
            theater_hint=request.theater_hint,
            run_id=request.run_id or new_id(),
            playbook=request.playbook,
            inputs=request.inputs,
            constraints=request.constraints,
            budget=request.budget,
        )
        run = await self._client.call(co.CREATE_RUN, run_request)
        if request.mode == "sync":
            run = await self._endings.wait(run.run_id, request.deadline_seconds)
        return _answer(run)


def _answer(run: RunSnapshot) -> ChatAnswer:
    return ChatAnswer(
        run_id=run.run_id, status=run.status, reply=run.reply, artifacts=run.artifacts, reason=run.reason
    )
