"""Chat: a message becomes a run, and the run's reply the answer."""

import asyncio

from ironclaw_api_gateway.endings import Endings
from ironclaw_chassis.authentication import CallerIdentity
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

    async def ask(self, request: ChatRequest, caller: CallerIdentity) -> ChatAnswer:
        """Start a run; in `sync` mode answer when it ends or the deadline passes, else at once.

        The run's id is chosen here, before co is asked: however often co is asked, there is one run.
        Raises `Unavailable`, before there is a run, when too many chats wait.
        """
        run_id = request.run_id or new_id()
        run_request = as_run(request, run_id, caller)
        if request.mode == "async":
            return as_answer(await self._client.call(co.CREATE_RUN, run_request))
        deadline = asyncio.get_running_loop().time() + request.deadline_seconds
        with self._endings.hinted(run_id) as hint:
            run = await self._client.call(co.CREATE_RUN, run_request)
            return as_answer(await self._endings.wait(run, hint, deadline))


def as_run(request: ChatRequest, run_id: str, caller: CallerIdentity) -> co.RunRequest:
    """Return what co is asked for; a caller that names no user is known by the name of its key."""
    return co.RunRequest(
        user_id=caller.name if request.user_id == ANONYMOUS else request.user_id,
        objective=request.message,
        theater_hint=request.theater_hint,
        run_id=run_id,
        playbook=request.playbook,
        inputs=request.inputs,
        constraints=request.constraints,
        budget=request.budget,
        on_order_failure=request.on_order_failure,
        charged_to=caller.charged_to,
        profile=request.profile,
        follow_up=request.follow_up,
    )


def as_answer(run: RunSnapshot) -> ChatAnswer:
    """Return what the caller is told of a run."""
    return ChatAnswer(
        run_id=run.run_id, status=run.status, reply=run.reply, artifacts=run.artifacts, reason=run.reason
    )
