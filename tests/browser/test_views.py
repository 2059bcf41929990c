"""Every view on a live fleet: it shows what is there, complains of nothing, and anyone can use it."""

import json
import re

import pytest
from playwright.async_api import expect

from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.snapshots import RunView
from tests.browser.conftest import DONE_MS, ON_THE_BROWSERS_LOOP, Person, tell_of_session
from tests.support.waiting import until

pytestmark = ON_THE_BROWSERS_LOOP

TIDES = {
    "id": "tides",
    "name": "Tides",
    "description": "Read a table.",
    "tags": [],
    "examples": [],
    "instructions": [],
    "metadata": {},
}
VIEWS = (
    "/",
    "/console/chat/{run}",
    "/console/runs",
    "/console/runs/{run}",
    "/console/orders/{order}",
    "/console/orders/{order}/artifact?path={artifact}",
    "/console/theaters",
    "/console/theaters/{theater}",
    "/console/watch",
    "/console/command-center",
    "/console/policy",
    "/console/ledger",
    "/console/ledger/verify",
    "/console/events/1",
    "/console/help",
)


def address(view: str, merged: RunView) -> str:
    order = merged.orders[0]
    return view.format(
        run=merged.run.run_id,
        order=order.order_id,
        artifact=order.artifacts[0].path,
        theater=order.theater_id,
    )


@pytest.mark.parametrize("view", VIEWS)
async def test_given_a_view_when_looked_at_in_both_themes_and_widths_then_it_is_whole_and_accessible(
    operator: Person, merged: RunView, view: str
) -> None:
    page = operator.page
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width in (400, 1600):
            await page.set_viewport_size({"width": width, "height": 900})
            await operator.look(address(view, merged))
            await expect(page.locator("main h1")).to_have_count(1)
            overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{view} is {overflow} px too wide at {width}"
            assert await operator.serious_findings() == []
    assert operator.complaints == []


async def test_given_the_sign_in_page_when_looked_at_then_it_is_accessible(visitor: Person) -> None:
    for scheme in ("light", "dark"):
        await visitor.page.emulate_media(color_scheme=scheme)
        await visitor.look("/console/sign-in")
        assert await visitor.serious_findings() == []
    assert visitor.complaints == []


async def test_given_a_merged_order_when_looked_at_then_gates_report_diff_and_artifact_are_there(
    operator: Person, merged: RunView
) -> None:
    page, order = operator.page, merged.orders[0]
    await operator.look(f"/console/orders/{order.order_id}")
    await expect(page.locator("#part-gates")).to_contain_text("path_policy")
    await expect(page.locator("#part-changes .add").first).to_be_visible()
    await expect(page.locator("#part-attempts")).to_contain_text("merged")
    await page.get_by_text("aar.json").click()
    await expect(page.locator("#part-report pre")).to_contain_text(order.order_id)
    await page.locator("#part-artifacts a").click()
    await page.wait_for_url(re.compile("artifact"))
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download").click()
    assert (await download.value).suggested_filename == order.artifacts[0].path.rsplit("/", 1)[1]


async def test_given_a_run_when_its_intent_is_looked_at_then_what_was_signed_and_its_ack_are_there(
    operator: Person, merged: RunView
) -> None:
    page, fleet = operator.page, operator.fleet
    async with fleet.client() as client:

        async def acked() -> bool | None:
            run = (await client.call(api.GET_RUN, run_id=merged.run.run_id)).run
            return True if run.intent is not None and run.intent.ack_status is not None else None

        await until(acked, what="the ACK")
    await operator.look(f"/console/runs/{merged.run.run_id}")
    await expect(page.locator("#part-intent .state")).to_be_visible()
    await page.locator("#part-intent a").click()
    await page.get_by_text("ACK, signed by the validator").first.click()
    await expect(page.locator("pre:visible").first).to_contain_text("validator_signature")
    assert await operator.serious_findings() == []


async def test_given_a_run_when_replayed_by_keyboard_then_it_shows_how_it_stood_then(
    operator: Person, merged: RunView
) -> None:
    page, run = operator.page, merged.run
    await operator.look(f"/console/runs/{run.run_id}")
    await expect(page.locator("#part-head .state")).to_have_text("complete")
    slider = page.get_by_label("As of event")
    await slider.focus()
    await page.keyboard.press("Home")
    await expect(page.locator("#state .notice")).to_contain_text(f"event {run.first_seq}")
    await expect(page.locator("#part-head .state")).to_have_text("open")
    await expect(page.locator("#part-graph")).to_contain_text("No orders yet")
    assert f"at_seq={run.first_seq}" in page.url
    await page.get_by_role("link", name="Back to now").click()
    await expect(page.locator("#part-head .state")).to_have_text("complete")


async def test_given_a_run_when_its_waterfall_is_read_then_the_axis_the_queue_and_the_end_are_there(
    operator: Person, merged: RunView
) -> None:
    page = operator.page
    await operator.look(f"/console/runs/{merged.run.run_id}")
    waterfall = page.locator("#part-waterfall table")
    await expect(waterfall.locator(".tick").first).to_have_text("0 s")
    await expect(waterfall.get_by_role("img").first).to_have_attribute(
        "aria-label", re.compile("waiting.*merged")
    )
    await expect(waterfall.locator("circle.end.good")).to_have_count(1)
    await expect(page.get_by_role("link", name="Runs").first).to_have_attribute("aria-current", "page")


async def test_given_an_event_when_opened_then_its_payload_and_place_in_the_chain_are_there(
    operator: Person, merged: RunView
) -> None:
    page = operator.page
    await operator.look(f"/console/ledger?run_id={merged.run.run_id}&type=INTEGRATED")
    await page.locator("#part-events tbody tr a").first.click()
    await page.wait_for_url(re.compile("/console/events/"))
    await expect(page.locator("main pre")).to_contain_text("commit_sha")
    await page.get_by_role("link", name="replay").click()
    await expect(page.locator("#state .notice")).to_contain_text("how the run stood")


async def test_given_a_narrow_screen_when_a_page_is_open_then_the_bar_shows_which(operator: Person) -> None:
    page = operator.page
    await page.set_viewport_size({"width": 400, "height": 900})
    await operator.look("/console/ledger")
    await expect(page.get_by_role("link", name="Ledger")).to_be_in_viewport(ratio=1)


async def test_given_a_skill_that_failed_when_judged_then_it_is_promoted_and_taken_back_in_the_queue(
    operator: Person,
) -> None:
    page, fleet = operator.page, operator.fleet
    skill = fleet.state.path / "appleseed" / "skills" / "tides.json"
    skill.write_text(json.dumps(TIDES), encoding="utf-8")
    for number in range(3):
        tell_of_session(fleet, f"tides-{number}", "predict surges", "tides")
    await operator.look("/console/policy")
    await page.get_by_role("button", name="Judge anew").click()
    await expect(page.locator("#done")).to_contain_text("Judged anew", timeout=DONE_MS)
    card = page.locator("#part-skills .card", has_text="prompt-tides")
    await card.locator("summary").click(timeout=DONE_MS)
    await expect(card.locator(".diff .add").first).to_be_visible()
    await card.get_by_role("button", name="Promote").click()
    await expect(card.get_by_role("button", name="Roll back")).to_be_visible(timeout=DONE_MS)
    assert "surges" in skill.read_text(encoding="utf-8")
    assert await operator.serious_findings() == []
    await card.get_by_role("button", name="Roll back").click()
    await expect(card.get_by_role("button", name="Promote")).to_be_visible(timeout=DONE_MS)
    assert "surges" not in skill.read_text(encoding="utf-8")
    assert operator.complaints == []


async def test_given_the_ledger_when_verified_then_the_bar_fills_and_the_chain_holds(
    operator: Person, merged: RunView
) -> None:
    page = operator.page
    await operator.look("/console/ledger?type=RUN_COMPLETED")
    await expect(page.locator("#part-events tbody tr").first).to_contain_text("RUN_COMPLETED")
    await page.get_by_label("Run").fill(merged.run.run_id)
    await page.get_by_role("button", name="Search").click()
    await expect(page.locator("#part-events tbody tr")).to_have_count(1)
    await page.get_by_role("link", name="Verify the chain").click()
    await expect(page.locator("#part-verification")).to_contain_text("the chain holds", timeout=DONE_MS)
    bar = page.get_by_label("Events verified")
    assert await bar.evaluate("bar => bar.value === bar.max && bar.max > 10")


async def test_given_the_watch_when_patrolled_and_audited_then_it_says_what_came_of_it(
    operator: Person,
) -> None:
    page = operator.page
    await operator.look("/console/watch")
    await expect(page.locator("#part-services .state.good")).to_have_count(len(ALL) - 1)
    await page.get_by_role("button", name="Patrol now").click()
    await expect(page.locator("#done")).to_contain_text("Patrolled", timeout=DONE_MS)
    await page.get_by_role("button", name="Audit now").click()
    await expect(page.locator("#done")).to_contain_text("Audited", timeout=DONE_MS)
    await expect(page.locator("#backlog-chart canvas")).to_be_visible()
    assert operator.complaints == []


async def test_given_a_reply_when_it_is_judged_then_learning_records_it_and_the_policy_is_shown(
    operator: Person, merged: RunView
) -> None:
    page = operator.page
    await operator.look(f"/console/chat/{merged.run.run_id}")
    await page.get_by_label("What do you think of it?").fill("as asked for")
    await page.get_by_role("button", name="Accept").click()
    await expect(page.locator("#thanks")).to_contain_text("Recorded: accept", timeout=DONE_MS)
    await operator.look("/console/policy")
    await page.get_by_role("button", name="Learn now").click()
    await expect(page.locator("#done")).to_contain_text("is in force", timeout=DONE_MS)
    await expect(page.locator("#part-tasks")).to_contain_text("executor_default", timeout=DONE_MS)
    await expect(page.locator("#part-tasks svg.interval").first).to_be_visible()
    assert operator.complaints == []


async def test_given_a_user_when_signed_in_then_what_is_not_theirs_is_not_offered(
    visitor: Person, user_key: str
) -> None:
    await visitor.look("/console/runs")
    await visitor.sign_in(user_key)
    await expect(visitor.page).to_have_url(re.compile("/console/runs$"))
    names = await visitor.page.get_by_role("navigation").get_by_role("link").all_inner_texts()
    assert names == ["Chat", "Runs", "Theaters", "Help"]
    await visitor.page.get_by_role("button", name="Sign out").click()
    await expect(visitor.page).to_have_title(re.compile("Sign in"))


async def test_given_a_chosen_theme_when_another_page_opens_then_it_has_it(operator: Person) -> None:
    page = operator.page
    await page.get_by_role("button", name="Colour theme").click()
    await page.get_by_role("button", name="Colour theme: light").click()
    await operator.look("/console/help")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await expect(page.get_by_role("button", name="Colour theme: dark")).to_be_visible()
