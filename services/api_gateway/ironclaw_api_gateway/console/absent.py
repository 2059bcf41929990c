"""Read what may be away: a page that shows many services shows the others all the same."""

from collections.abc import Awaitable
from typing import TypeVar

from ironclaw_contracts.errors import Unavailable

T = TypeVar("T")


async def if_there(reading: Awaitable[T]) -> T | None:
    """Return what was read, or None while its service is away. Raises any other `Problem`."""
    try:
        return await reading
    except Unavailable:
        return None
