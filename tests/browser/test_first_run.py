"""From nothing to merged work in the browser, by keyboard alone."""

import re

from playwright.async_api import expect

from tests.browser.conftest import DONE_MS, ON_THE_BROWSERS_LOOP, Person

pytestmark = ON_THE_BROWSERS_LOOP


async def test_given_a_key_when_a_person_asks_by_keyboard_then_the_plan_runs_live_and_the_reply_links_its_work(
    visitor: Person, handbook: str
) -> None:
    page = visitor.page
    await visitor.look("/")
    await expect(page).to_have_title(re.compile("Sign in"))
    await page.keyboard.type(visitor.fleet.operator_key)  # the field has the focus
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Your request")).to_be_focused()
    await expect(page.get_by_role("heading", name="A first request")).to_have_count(
        0 if await page.locator("#part-recent li").count() else 1
    )
    await page.keyboard.type("Summarize every document under docs/ and write one overview of the handbook.")
    await page.keyboard.press("Tab")
    await page.keyboard.type(handbook)  # a select takes the option by its first letters
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Control+Enter")
    await page.wait_for_url(re.compile("/console/chat/"))
    nodes = page.locator("svg.graph a.node")
    await expect(nodes).to_have_count(13, timeout=DONE_MS)
    assert await page.evaluate("performance.getEntriesByType('navigation').length") == 1
    await expect(page.locator("svg.graph a.node.good")).to_have_count(13, timeout=DONE_MS)
    await expect(page.get_by_role("article", name="Reply")).to_contain_text("handbook", ignore_case=True)
    artifact = page.locator("#part-reply .list a").first
    await artifact.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/artifact"))
    await expect(page.locator(".prose")).not_to_be_empty()
    assert visitor.complaints == []


async def test_given_an_open_run_when_it_is_cancelled_then_the_page_says_so(
    operator: Person, handbook: str
) -> None:
    page = operator.page
    await operator.look("/")
    await page.get_by_label("Your request").fill("Summarize every document under docs/")
    await page.get_by_label("Theater").select_option(handbook)
    await page.get_by_role("button", name="Send").click()
    await page.get_by_role("button", name="Cancel the run").click()
    await expect(page.get_by_role("article", name="Reply")).to_contain_text(
        "cancelled by operator", timeout=DONE_MS
    )
    assert operator.complaints == []
