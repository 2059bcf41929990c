"""The one MCP session with the validator: opened, used by many at once, opened again when it breaks."""

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.mcp_server import MCP_PATH
from ironclaw_contracts.endpoints import openclawdbot_proof as validator
from ironclaw_contracts.errors import Problem, Unavailable

log = structlog.get_logger()

_CALL_SECONDS = 10.0
_PAUSE_SECONDS = (0.5, 15.0)


class ValidatorSession:
    """Holds the session; `connected` is set while calls can be made."""

    def __init__(self, client: ServiceClient, url: str) -> None:
        self._client = client
        self._url = url + MCP_PATH
        self._mcp: Any = None
        self._broken = asyncio.Event()
        self.connected = asyncio.Event()
        self.validator_id: str | None = None
        self.fault: str | None = "not connected yet"

    async def run(self) -> None:
        """Keep a session open, with growing pauses while the validator is away. Ends by cancellation."""
        pause, longest = _PAUSE_SECONDS
        # The SDK takes most of a second to import; not on the event loop.
        connect = await asyncio.to_thread(_load)
        while True:
            try:
                await self._hold(connect(self._url))
                pause = _PAUSE_SECONDS[0]
            except Exception as error:
                self.fault = str(error) or type(error).__name__
                log.info("the validator is away", reason=self.fault, retry_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return a tool's structured answer.

        Raises `Unavailable` when the session is not there or broke, `Problem` when the tool refused.
        """
        mcp = self._mcp
        if mcp is None:
            raise Unavailable(f"the validator is away: {self.fault}")
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                made = await mcp.call_tool(tool, arguments)
        except Exception as error:
            self._break(error)
            raise Unavailable(f"the validator did not answer: {self.fault}") from error
        answer: dict[str, Any] = made.structured_content or {}
        if made.is_error:
            reason = made.content[0].text if made.content else "no reason given"
            away = answer.get("error", {}).get("code") == Unavailable.code
            raise (Unavailable if away else Problem)(f"{tool}: {reason}")
        return answer

    async def _hold(self, client: Any) -> None:
        self._broken = asyncio.Event()
        async with client as opened:
            # Whose signature counts is asked of the validator itself, as one service asks another.
            self.validator_id = (await self._client.call(validator.GET_VALIDATOR)).validator_id
            self._mcp, self.fault = opened, None
            self.connected.set()
            try:
                await self._broken.wait()
            finally:
                self._mcp = None
                self.connected.clear()

    def _break(self, error: Exception) -> None:
        self.fault = str(error) or type(error).__name__
        self._broken.set()


def _load() -> Callable[[str], Any]:
    """Return what makes a client for a URL."""
    mcp = importlib.import_module("mcp")
    transport = importlib.import_module("mcp.client.streamable_http")
    return lambda url: mcp.Client(transport.streamable_http_client(url))
