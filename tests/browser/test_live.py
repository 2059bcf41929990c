"""What is looked at stays true without a reload, and says so when it cannot."""

import re

from playwright.async_api import expect

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.enums import Service, Severity
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.payloads import EscalationRaised
from tests.browser.conftest import DONE_MS, ON_THE_BROWSERS_LOOP, Person
from tests.support.waiting import ended

pytestmark = ON_THE_BROWSERS_LOOP

MARK = "window.marked = true"


async def test_given_open_lists_when_work_is_done_elsewhere_then_they_follow_it_and_keep_their_filter(
    operator: Person, handbook: str
) -> None:
    page, fleet = operator.page, operator.fleet
    other = await operator.context.new_page()
    await operator.look("/console/runs")
    await other.goto(f"{fleet.url}/console/runs?status=CANCELLED")
    await operator.live()
    await other.wait_for_selector("html[data-live=yes]")
    await page.evaluate(MARK)
    await other.evaluate(MARK)
    async with fleet.client() as client:
        request = api.ChatRequest(
            message="Summarize docs/ while I look on", theater_hint=handbook, mode="async"
        )
        answer = await client.call(api.CHAT, request)
        row = page.locator("#part-list tr", has_text="while I look on").first
        await expect(row).to_be_visible(timeout=DONE_MS)
        await ended(client, answer.run_id)
        await expect(row.locator(".state")).to_have_text("complete", timeout=DONE_MS)
        await expect(row).to_contain_text("13/13")
    await expect(other.locator("#part-list")).not_to_contain_text("while I look on")
    assert await page.evaluate("window.marked") and await other.evaluate("window.marked")


async def test_given_an_escalation_when_raised_and_acknowledged_then_the_list_follows(
    operator: Person,
) -> None:
    page, fleet = operator.page, operator.fleet
    await operator.look("/console/watch")
    await operator.live()
    raised = EscalationRaised(severity=Severity.HIGH, subject="service:boiler", reason="The boiler is cold")
    async with fleet.as_service(Service.OBSERVER) as observer:
        await observer.call(ledger.APPEND_EVENT, new_event(EventType.ESCALATION_RAISED, raised))
    card = page.locator("#part-escalations .card", has_text="The boiler is cold")
    await expect(card).to_be_visible(timeout=DONE_MS)
    await card.get_by_label("What was done").fill("lit it")
    await card.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator("#done")).to_contain_text("Acknowledged as operator")
    await expect(card).to_have_count(0, timeout=DONE_MS)
    await page.get_by_role("link", name="Acknowledged ones").click()
    await expect(page.locator("#part-escalations")).to_contain_text("lit it")
    assert operator.complaints == []


async def test_given_a_page_when_its_stream_breaks_then_it_says_so_until_it_stands_again(
    operator: Person,
) -> None:
    page = operator.page
    await page.route(re.compile("/live"), lambda route: route.abort())
    await operator.look("/console/runs")
    await expect(page.get_by_text("Connection lost")).to_be_visible()
    await page.unroute(re.compile("/live"))
    await expect(page.get_by_text("Connection lost")).to_be_hidden(timeout=DONE_MS)


async def test_given_a_page_when_the_session_ends_then_it_leads_to_the_sign_in_and_back(
    operator: Person,
) -> None:
    page = operator.page
    await operator.look("/console/runs?status=OPEN")
    await operator.live()
    other = await operator.context.new_page()
    await other.goto(f"{operator.fleet.url}/console/help")
    await other.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_title(re.compile("Sign in"), timeout=DONE_MS)
    await operator.sign_in(operator.fleet.operator_key)
    await expect(page).to_have_url(re.compile(r"/console/runs\?status=OPEN"))
