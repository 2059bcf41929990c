"""The calls of the surface: bytes in, bytes out; 2xx only when durable, 503 for what a retry may mend."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import structlog

from appleseed_evolution import intake
from appleseed_evolution.config import CONFIG_NAME, ensure_config
from appleseed_evolution.contract import to_json
from appleseed_evolution.http.access import check_access
from appleseed_evolution.jsontext import JsonObject, parse, to_line
from appleseed_evolution.workspace import Workspace
from ironclaw_chassis.foreign import ForeignAnswer, ForeignCall, ForeignHandler
from ironclaw_chassis.routes import Routes
from ironclaw_chassis.secret import Secret
from ironclaw_contracts.endpoints import learning_appleseed as api
from ironclaw_contracts.errors import Problem, TooLarge, Unavailable

log = structlog.get_logger()

_WAITING_MAX = 256
_TIMEOUT_SECONDS = 15.0
_RETRY_SECONDS = 1


class Surface:
    """The HTTP calls over one workspace. With an `api_key`, callers must send it.

    All work that touches the disk runs in one thread of the surface's own: writers take turns anyway, and a
    state directory that is held by another process keeps nobody else's threads waiting.
    """

    def __init__(self, workspace: Workspace, *, api_key: Secret | None = None) -> None:
        self.workspace = workspace
        self._api_key = api_key
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="appleseed")
        self._waiting = 0
        self._told = 0

    async def ingest(self, call: ForeignCall) -> ForeignAnswer:
        """Store a payload of runtime events."""
        return await self._answer(
            call, lambda body, now: intake.ingest(self.workspace, body, now=now, new_id=_new_id)
        )

    async def feedback(self, call: ForeignCall) -> ForeignAnswer:
        """Store direct feedback."""
        return await self._answer(call, self._give_feedback)

    async def route(self, call: ForeignCall) -> ForeignAnswer:
        """Name the skills for a task."""
        return await self._answer(
            call, lambda body, now: intake.route(self.workspace, parse(body), now=now, new_id=_new_id)
        )

    def _give_feedback(self, body: bytes, now: datetime) -> JsonObject:
        feedback = intake.give_feedback(self.workspace, parse(body), now=now)
        return {"status": "recorded", "feedback": to_json(feedback)}

    async def _answer(self, call: ForeignCall, act: Callable[[bytes, datetime], JsonObject]) -> ForeignAnswer:
        try:
            check_access(call.headers, self._api_key)
            if call.body is None:
                raise TooLarge(
                    f"the body is larger than {api.INGEST_EVENTS.body_bytes_max} bytes: send fewer events"
                )
            return _json(200, await self._act(act, call.body))
        except Problem as problem:
            return error_answer(problem)
        except OSError as error:
            log.error("state directory failed", path=str(self.workspace.state.path), exc_info=error)
            return error_answer(Unavailable("the state directory cannot be written now; send it again later"))
        finally:
            self._tell()

    async def _act(self, act: Callable[[bytes, datetime], JsonObject], body: bytes) -> JsonObject:
        """Run blocking work off the event loop; a bounded number of calls waits, for a bounded time."""
        if self._waiting >= _WAITING_MAX:
            raise Unavailable(f"{_WAITING_MAX} calls are waiting; send it again later")
        self._waiting += 1
        try:
            working = asyncio.get_running_loop().run_in_executor(self._thread, act, body, datetime.now(UTC))
            return await asyncio.wait_for(working, _TIMEOUT_SECONDS)
        except TimeoutError:
            # Not begun, it is dropped; begun, it may still be stored, and the same ids again are skipped.
            raise Unavailable("the state directory is busy; send it again later") from None
        finally:
            self._waiting -= 1

    def _tell(self) -> None:
        notices = self.workspace.state.notices
        for notice in notices[self._told :]:
            log.warning("state directory mended", notice=notice)
        self._told = len(notices)


def open_surface(folder: Path, *, api_key: Secret | None = None) -> Surface:
    """Return the surface over a folder, with the configuration, skills and state in it; made when missing.

    Operators work on the same state with `appleseed --config FOLDER/appleseed.toml`. Raises what
    `read_config` raises, and `OSError`.
    """
    return Surface(Workspace.open(ensure_config(folder / CONFIG_NAME)), api_key=api_key)


def add_appleseed_routes(routes: Routes, surface: Surface) -> None:
    """Register the surface with a service of the fleet, which has a health of its own."""
    routes.foreign(api.INGEST_EVENTS)(surface.ingest)
    routes.foreign(api.GIVE_FEEDBACK)(surface.feedback)
    routes.foreign(api.ROUTE_TASK)(surface.route)


def calls_of(surface: Surface) -> list[tuple[api.AppleseedEndpoint, ForeignHandler]]:
    """Return the endpoints of the surface with what answers them, health among them."""
    return [
        (api.LOCAL_HEALTH, health),
        (api.INGEST_EVENTS, surface.ingest),
        (api.GIVE_FEEDBACK, surface.feedback),
        (api.ROUTE_TASK, surface.route),
    ]


async def health(_: ForeignCall) -> ForeignAnswer:
    """Tell that the server runs."""
    return _json(200, {"status": "ok"})


def error_answer(problem: Problem) -> ForeignAnswer:
    """Return an error as the contract has it: its text, with Retry-After where a retry may help."""
    headers: dict[str, str] = {}
    if problem.status == Unavailable.status:
        headers["retry-after"] = str(problem.retry_after_seconds or _RETRY_SECONDS)
    return _json(problem.status, {"error": problem.message}, headers)


def _json(status: int, value: dict[str, Any], headers: dict[str, str] | None = None) -> ForeignAnswer:
    return ForeignAnswer(status=status, body=to_line(value).encode(), headers=headers or {})


def _new_id() -> str:
    return str(uuid4())
