"""Wait for what a fleet does by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.errors import Unavailable
from ironclaw_contracts.snapshots import RunView

T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], seconds: float = 60.0, what: str = "it") -> T:
    """Look until there is something; outages of the gateway are waited out."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    found = await look()
                except Unavailable:
                    found = None
                if found is not None:
                    return found
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen within {seconds:g} s") from None


async def ended(client: ServiceClient, run_id: str, seconds: float = 60.0) -> RunView:
    """Return a run once it has ended."""

    async def look() -> RunView | None:
        view = await client.call(api.GET_RUN, run_id=run_id)
        return view if view.run.status is not RunStatus.OPEN else None

    return await until(look, seconds, f"the end of run {run_id}")
