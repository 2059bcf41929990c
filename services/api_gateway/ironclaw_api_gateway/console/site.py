"""Renders pages and their parts, once for the first look and again whenever a part has changed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from markupsafe import Markup

from ironclaw_api_gateway.console.pages import Asked, Context, View
from ironclaw_api_gateway.console.pulse import Pulse
from ironclaw_api_gateway.console.rendering import environment
from ironclaw_api_gateway.console.sessions import SignInNeeded
from ironclaw_api_gateway.streams import Slot, Streams
from ironclaw_chassis.routes import StreamEvent
from ironclaw_contracts.errors import Problem

_GATHER_SECONDS = 0.2
"""Hints that come close together are one look."""

LIVE_SUFFIX = "/live"

_NAVIGATION = (
    ("chat", "/", "Chat", False),
    ("runs", "/console/runs", "Runs", False),
    ("theaters", "/console/theaters", "Theaters", False),
    ("watch", "/console/watch", "Watch", True),
    ("command_center", "/console/command-center", "Command center", True),
    ("policy", "/console/policy", "Policy", True),
    ("ledger", "/console/ledger", "Ledger", True),
    ("help", "/console/help", "Help", False),
)
"""Folder of templates, address, label, and whether only operators see it."""

_SECTION = {"run": "runs", "order": "runs"}
"""Folders whose pages are looked for under another one's heading."""


class Site:
    """The templates and the streams that keep pages true."""

    def __init__(self, pulse: Pulse, streams: Streams) -> None:
        self._pulse = pulse
        self._streams = streams
        self._environment = environment()

    def render(self, template: str, context: Context) -> Markup:
        """Render one template."""
        return Markup(self._environment.get_template(template).render(context))  # noqa: S704 - autoescaped

    def page(self, view: View, asked: Asked, context: Context, address: str) -> Markup:
        """Render a whole page. `address` is the path that was asked for, with its query."""
        path, _, query = address.partition("?")
        live = (
            f"{path.rstrip('/')}{LIVE_SUFFIX}?{query}" if view.parts and context.get("live", True) else None
        )
        rendered = {name: self._part(view, name, asked, context) for name in view.parts}
        whole = {**self.frame(asked, view.name), **context, "parts": rendered, "live_path": live}
        return self.render(f"{view.name}/{view.template}", whole)

    def frame(self, asked: Asked | None, current: str = "") -> Context:
        """Return what the layout needs."""
        visitor = asked.visitor if asked is not None else None
        shown = [n for n in _NAVIGATION if visitor is not None and (visitor.operator or not n[3])]
        section = _SECTION.get(current, current)
        return {"visitor": visitor, "navigation": shown, "current": section, "live_path": None}

    def follow(
        self, view: View, asked: Asked, checked: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[StreamEvent]:
        """Return the page's parts as they change. Raises `Unavailable` when too many pages are open.

        `checked` raises `SignInNeeded` once the session has ended; the stream ends with it.
        """
        return self._follow(self._streams.take(), view, asked, checked)

    async def _follow(
        self, slot: Slot, view: View, asked: Asked, checked: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[StreamEvent]:
        sent: dict[str, str] = {}
        try:
            with self._pulse.listening() as ear:
                while True:
                    ear.woken.clear()  # before the look, so that what happens during it is looked at again
                    try:
                        await checked()
                        context = await view.gather(asked)
                        ear.run_id = context.get("run_id")
                        parts = {name: self._part(view, name, asked, context) for name in view.parts}
                        ended = not context.get("live", True)
                        parts["trouble"] = Markup("")
                    except SignInNeeded:
                        yield StreamEvent(id="", event="signed-out", data="signed out")
                        return
                    except Problem as problem:
                        parts = {"trouble": self.render("trouble.html", {"problem": problem})}
                        ended = False
                    for name, html in parts.items():
                        if sent.get(name) != html:
                            sent[name] = html
                            yield StreamEvent(id="", event=name, data=html)
                    if ended:
                        yield StreamEvent(id="", event="ended", data="ended")
                        return
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(view.period_seconds):
                            await ear.woken.wait()
                            await asyncio.sleep(_GATHER_SECONDS)
        finally:
            self._streams.give_back(slot)
            await asked.forget()

    def _part(self, view: View, name: str, asked: Asked, context: Context) -> Markup:
        return self.render(f"{view.name}/_{name}.html", {"visitor": asked.visitor, **context})
