"""What a page is: where it lies, what it shows, and which of its parts change while it is looked at."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from msgspec import Struct, field

from ironclaw_api_gateway.console.sessions import Visitor
from ironclaw_contracts.errors import BadRequest

Context = dict[str, Any]
"""What a template is given."""


class Asked(Struct, frozen=True):
    """One look at a page, or `following` it.

    `memory` lives as long as the page is followed; views keep what they have read there.
    """

    visitor: Visitor
    path: dict[str, str]
    query: dict[str, str]
    following: bool = False
    memory: dict[str, Any] = field(default_factory=dict[str, Any])

    async def forget(self) -> None:
        """Close what the memory holds open."""
        for value in self.memory.values():
            if isinstance(value, AsyncGenerator):
                await value.aclose()
        self.memory.clear()

    def number(self, name: str) -> int | None:
        """Return a parameter of the address as a whole number. Raises `BadRequest` naming it."""
        given = self.query.get(name, "").strip()
        if not given:
            return None
        if not given.isascii() or not given.isdecimal() or len(given) > 18:
            raise BadRequest(f"{name} is {given[:40]!r}: give a whole number from 0 on")
        return int(given)


class View(Struct, frozen=True, kw_only=True):
    """A page: `name` is its folder of templates and its place in the navigation.

    `parts` are rendered by templates of their own and sent again whenever they change. A context may say
    `live=False` (nothing more will change) and `run_id` (only that run's events concern the page). Without a
    hint they are looked at again after `period_seconds`: services and heartbeats are in no event.
    """

    path: str
    name: str
    gather: Callable[[Asked], Awaitable[Context]]
    template: str = "page.html"
    parts: tuple[str, ...] = ()
    operators: bool = False
    period_seconds: float = 3.0


class Redirect(Struct, frozen=True):
    """Go and look there."""

    path: str


class Fragment(Struct, frozen=True):
    """What an action came to, for the place on the page that asked."""

    template: str
    context: Context


class Download(Struct, frozen=True):
    """Bytes that a browser keeps, or shows only when `inline_type` says as which image."""

    content: bytes
    name: str
    inline_type: str | None = None


Form = dict[str, str]


class Action(Struct, frozen=True, kw_only=True):
    """What a form does."""

    path: str
    act: Callable[[Asked, Form], Awaitable[Redirect | Fragment]]
    operators: bool = False


class Fetch(Struct, frozen=True, kw_only=True):
    """Bytes behind an address."""

    path: str
    fetch: Callable[[Asked], Awaitable[Download]]
    operators: bool = False


class Pages:
    """Collects what the views register."""

    def __init__(self) -> None:
        self.views: list[View] = []
        self.actions: list[Action] = []
        self.fetches: list[Fetch] = []
