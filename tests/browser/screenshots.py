"""Take a picture of every view in both themes, on a fleet with the demo's data: make screenshots."""

import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, async_playwright

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import Service, Severity
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.payloads import EscalationRaised
from tests.browser.provide import find_browser
from tests.support.fleet import FleetUnderTest
from tests.support.waiting import ended

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "screenshots"
HANDBOOK = ROOT / "examples" / "handbook"
MESSAGE = "Summarize every document under docs/ and write one overview of the whole handbook."


async def prepared(fleet: FleetUnderTest) -> dict[str, str]:
    """Do the demo's work and more, and return the address of each view."""
    async with fleet.client() as client:
        await client.call(api.OPEN_THEATER, TheaterRequest(theater_id="handbook", import_path=str(HANDBOOK)))
        for message in ("Draft a note about spring floods", "Draft a letter to the brigade"):
            await ended(client, (await client.call(api.CHAT, api.ChatRequest(message=message))).run_id)
        asked = api.ChatRequest(message=MESSAGE, theater_hint="handbook", mode="async")
        view = await ended(client, (await client.call(api.CHAT, asked)).run_id, 120)
        await client.call(api.LEARN_TICK)
        await client.call(api.PATROL)
    async with fleet.as_service(Service.OBSERVER) as observer:
        raised = EscalationRaised(
            severity=Severity.MEDIUM,
            subject="worktree:handbook/order_lost",
            reason="A worktree of no known order has not moved for an hour",
            evidence={"path": "worktrees/order_lost"},
        )
        await observer.call(ledger.APPEND_EVENT, new_event(EventType.ESCALATION_RAISED, raised))
    order = view.orders[-1]
    return {
        "chat": f"/console/chat/{view.run.run_id}",
        "ask": "/",
        "runs": "/console/runs",
        "run": f"/console/runs/{view.run.run_id}",
        "order": f"/console/orders/{order.order_id}",
        "artifact": f"/console/orders/{order.order_id}/artifact?path={order.artifacts[0].path}",
        "theater": "/console/theaters/handbook",
        "watch": "/console/watch",
        "command-center": "/console/command-center",
        "policy": "/console/policy",
        "ledger": "/console/ledger",
        "verify": "/console/ledger/verify",
        "help": "/console/help",
    }


async def photograph(fleet: FleetUnderTest, browser: Browser, views: dict[str, str]) -> None:
    """Keep a picture of each view in each theme."""
    for theme in ("light", "dark"):
        context = await browser.new_context(
            viewport={"width": 1280, "height": 900}, color_scheme="dark" if theme == "dark" else "light"
        )
        page = await context.new_page()
        await page.goto(fleet.url)
        await page.screenshot(path=FOLDER / f"sign-in-{theme}.png")
        await page.get_by_label("API key").fill(fleet.operator_key)
        await page.keyboard.press("Enter")
        await page.get_by_label("Your request").wait_for()
        for name, path in views.items():
            await page.goto(fleet.url + path)
            await page.wait_for_timeout(1_500)  # the first live message, and the chart
            await page.screenshot(path=FOLDER / f"{name}-{theme}.png")
        if theme == "light":
            await page.set_viewport_size({"width": 400, "height": 860})
            await page.goto(fleet.url + views["run"])
            await page.wait_for_timeout(1_000)
            await page.screenshot(path=FOLDER / "run-narrow.png")
        await context.close()


async def main() -> None:
    """Start a fleet, do work, take the pictures, stop."""
    path = find_browser()
    if path is None:
        sys.exit("no Chromium on this machine: make browser tries to install one")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ironclaw-screenshots-", dir="/tmp") as home:
        Path(home).chmod(0o711)
        with FleetUnderTest.started(Path(home) / "fleet", {}, ("--allow", str(HANDBOOK.parent))) as fleet:
            views = await prepared(fleet)
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
                await photograph(fleet, browser, views)
                await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
