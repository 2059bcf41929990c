"""A real browser on a running fleet, and a person who looks at it."""

import json
import re
import shutil
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from ironclaw_contracts.access import KeyRequest
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import Role, Service
from ironclaw_contracts.snapshots import RunView
from tests.browser.provide import find_browser
from tests.support.fleet import FleetUnderTest
from tests.support.waiting import ended

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
HANDBOOK = Path(__file__).resolve().parents[2] / "examples" / "handbook"
DONE_MS = 60_000


ON_THE_BROWSERS_LOOP = pytest.mark.asyncio(loop_scope="session")
"""For each module of tests with a browser: one Chromium serves them all, and it belongs to one event loop."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium; skips with a reason where there is none. A window has cookies and storage of its own."""
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium on this machine: make test-browser tries to install one")
    async with async_playwright() as playwright:
        # Its own sandbox needs privileges that containers do not give; it only ever sees our pages.
        launched = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        await launched.close()


def tell_of_session(fleet: FleetUnderTest, session_id: str, comment: str, skill: str) -> None:
    """Tell Appleseed of a session in which a skill failed, as field clients do."""
    event = {
        "event_kind": "session_feedback",
        "session_id": session_id,
        "task": comment,
        "status": "failure",
        "score": 0.1,
        "comment": comment,
        "selected_skill_ids": [skill],
        "missing_capabilities": [comment],
    }
    envelope = {"source": "openclaw", "envelope_id": session_id, "event": event}
    request = urllib.request.Request(
        f"http://127.0.0.1:{fleet.port_of(Service.LEARNING)}/v1/ingest",
        data=json.dumps(envelope).encode(),
        headers={"content-type": "application/json", "x-appleseed-integration": "openclaw"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


class Person:
    """Someone at a browser. Everything that the browser complains about is kept in `complaints`."""

    def __init__(self, fleet: FleetUnderTest, context: BrowserContext, page: Page) -> None:
        self.fleet = fleet
        self.context = context
        self.page = page
        self.complaints: list[str] = []
        page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(f"dialog: {dialog.message}"))

    async def look(self, path: str) -> None:
        """Go to a page of the console."""
        await self.page.goto(self.fleet.url + path)

    async def sign_in(self, secret: str) -> None:
        """Sign in with a key, from wherever the browser was sent to."""
        await self.page.get_by_label("API key").fill(secret)
        await self.page.keyboard.press("Enter")
        await self.page.wait_for_url(re.compile(r"^(?!.*sign-in)"))

    async def live(self) -> None:
        """Wait until the page's stream stands."""
        await self.page.wait_for_selector("html[data-live=yes]")

    async def serious_findings(self) -> list[str]:
        """Return what axe-core calls serious or critical on the page as it stands."""
        await self.page.evaluate(AXE)
        result: dict[str, Any] = await self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{found['id']}: {found['help']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
            for found in result["violations"]
            if found["impact"] in {"serious", "critical"}
            for node in found["nodes"]
        ]


@asynccontextmanager
async def person_of(fleet: FleetUnderTest, browser: Browser) -> AsyncIterator[Person]:
    """Open a browser window of its own while the context is open."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    yield Person(fleet, context, await context.new_page())
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(fleet: FleetUnderTest, browser: Browser) -> AsyncIterator[Person]:
    """Someone who has not signed in."""
    async with person_of(fleet, browser) as person:
        yield person


@pytest_asyncio.fixture(loop_scope="session")
async def operator(visitor: Person) -> Person:
    """The operator, signed in."""
    await visitor.look("/")
    await visitor.sign_in(visitor.fleet.operator_key)
    return visitor


@pytest.fixture
async def user_key(fleet: FleetUnderTest) -> str:
    """The secret of a key that may ask, and not operate."""
    async with fleet.client() as client:
        made = await client.call(api.CREATE_KEY, KeyRequest(name="reader", role=Role.USER, burst=1_000))
    return made.secret


@pytest.fixture
async def handbook(fleet: FleetUnderTest, tmp_path: Path) -> str:
    """The theater of the demo."""
    source = shutil.copytree(HANDBOOK, tmp_path / "handbook")
    async with fleet.client() as client:
        request = TheaterRequest(theater_id="handbook", import_path=str(source))
        known = {theater.theater_id for theater in (await client.call(api.LIST_THEATERS)).theaters}
        if request.theater_id not in known:
            await client.call(api.OPEN_THEATER, request)
    return request.theater_id


@pytest.fixture
async def merged(fleet: FleetUnderTest) -> RunView:
    """A run that has ended well."""
    async with fleet.client() as client:
        asked = api.ChatRequest(message="Draft a note about spring floods", mode="async")
        answer = await client.call(api.CHAT, asked)
        return await ended(client, answer.run_id)
