"""Every field that a user, a model or a unit can fill carries a payload; none of them may run or become markup."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from ironclaw_contracts import payloads as p
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger
from ironclaw_contracts.endpoints.co import Cancellation, HandMade
from ironclaw_contracts.endpoints.openclawdbot_proof import Registration
from ironclaw_contracts.enums import RunStatus, Service, Severity
from ironclaw_contracts.events import EventType, new_event
from ironclaw_contracts.milestones import Evidence
from ironclaw_contracts.snapshots import RunView
from tests.browser.conftest import ON_THE_BROWSERS_LOOP, Person, person_of, tell_of_session
from tests.support.fleet import FleetUnderTest
from tests.support.model_server import ModelServer
from tests.support.nodes import Node
from tests.support.waiting import ended

pytestmark = ON_THE_BROWSERS_LOOP

PAYLOAD = (
    "<img src=x onerror=window.harmed=1><script>window.harmed=1</script>"
    "<svg onload=window.harmed=1><a href='javascript:window.harmed=1'>x</a>\"'><b class=harm>"
)
MARKDOWN = (
    f"{PAYLOAD}\n\n[click](javascript:window.harmed=1) ![pic](http://127.0.0.1:9/tracker.png)\n\n{PAYLOAD}"
)


def _script(request: dict[str, Any]) -> tuple[int, str]:
    if "You plan work" not in request["messages"][0]["content"]:
        return 200, MARKDOWN
    tasks = [
        {"title": PAYLOAD[:190], "objective": PAYLOAD},
        {"title": "Second " + PAYLOAD[:180], "objective": PAYLOAD, "after": [1]},
    ]
    return 200, json.dumps({"tasks": tasks})


@pytest.fixture(scope="module")
def hostile(open_root: Path) -> Iterator[FleetUnderTest]:
    """A fleet whose model is hostile."""
    with ModelServer(_script) as model:
        environ = {
            "IRONCLAW_MODEL_BASE_URL": model.url,
            "IRONCLAW_MODEL_NAME": "<b>model</b>",
            "IOINTELLIGENCE_API_KEY": "key",
        }
        with FleetUnderTest.started(open_root / "hostile", environ) as fleet:
            yield fleet


@pytest_asyncio.fixture(loop_scope="session")
async def person(hostile: FleetUnderTest, browser: Browser) -> AsyncIterator[Person]:
    """Someone who looks at that fleet."""
    async with person_of(hostile, browser) as opened:
        yield opened


@pytest.fixture
async def stained(hostile: FleetUnderTest) -> tuple[RunView, RunView]:
    """A fleet with a payload wherever one fits: a run that is complete, and one that was cancelled."""
    async with hostile.client() as client:
        done = await client.call(api.CHAT, api.ChatRequest(message=PAYLOAD, mode="async", user_id=PAYLOAD))
        view = await ended(client, done.run_id)
        assert view.run.status is RunStatus.COMPLETE, view.run.reason
        draft = api.ChatRequest(
            message=PAYLOAD,
            playbook="draft",
            inputs={"output": "outputs/<img src=x onerror=window.harmed=1>.md", "text": PAYLOAD},
        )
        await client.call(api.CHAT, draft)
        stopped = await client.call(api.CHAT, api.ChatRequest(message=PAYLOAD, mode="async"))
        await client.call(api.CANCEL_RUN, Cancellation(reason=PAYLOAD), run_id=stopped.run_id)
        cancelled = await ended(client, stopped.run_id)
        proof = Evidence(type="doc", path=PAYLOAD, summary=PAYLOAD, ref=PAYLOAD)
        told = HandMade(
            scope=PAYLOAD, claim=PAYLOAD, next_action=PAYLOAD, risk_status="blocked", evidence=[proof]
        )
        await client.call(api.EMIT_MILESTONE, told)
        for number in range(2):
            tell_of_session(hostile, f"hostile-{number}", PAYLOAD, PAYLOAD)
        judged = await client.call(api.REVIEW_SKILLS)
        assert any("onerror" in proposal.title for proposal in judged.proposals)
        async with aiohttp.ClientSession() as session:
            node = Node(hostile, session)
            registration = Registration(
                node_id=node.node_id, role="Planner", public_key_ref=node.did, label=PAYLOAD[:200]
            )
            await client.call(api.REGISTER_NODE, registration)
            rejected = f"http://127.0.0.1:{hostile.port_of(Service.OPENCLAWDBOT)}/internal/milestones/ingest"
            headers = {"x-idempotency-key": PAYLOAD, "content-type": "application/json"}
            await session.post(rejected, data=json.dumps({"event": PAYLOAD}), headers=headers)
    raised = p.EscalationRaised(
        severity=Severity.CRITICAL,
        subject=PAYLOAD[:200],
        reason=PAYLOAD,
        evidence={PAYLOAD: PAYLOAD, "list": [PAYLOAD]},
    )
    degraded = p.ServiceHealth(service=PAYLOAD, reason=PAYLOAD)
    order = view.orders[0]
    needed = p.RecoveryStarted(attempt=order.attempt, reason=PAYLOAD)
    async with hostile.as_service(Service.DUTY_OFFICER) as officer:
        await officer.call(ledger.APPEND_EVENT, new_event(EventType.ESCALATION_RAISED, raised))
        await officer.call(ledger.APPEND_EVENT, new_event(EventType.SERVICE_DEGRADED, degraded))
        scope = {"run_id": order.run_id, "order_id": order.order_id, "theater_id": order.theater_id}
        await officer.call(ledger.APPEND_EVENT, new_event(EventType.RECOVERY_STARTED, needed, **scope))
    return view, cancelled


async def _unharmed(person: Person) -> None:
    page = person.page
    await page.wait_for_timeout(300)  # what would run, runs at once or on the first live message
    found = await page.evaluate(
        """() => ({
            harmed: window.harmed,
            handlers: [...document.querySelectorAll('*')].filter(
                (e) => [...e.attributes].some((a) => a.name.startsWith('on') || /^\\s*javascript:/i.test(a.value))
            ).map((e) => e.outerHTML),
            made: document.querySelectorAll('main script, main iframe, main .harm, main img:not(.artifact)').length,
        })"""
    )
    assert found == {"handlers": [], "made": 0} or found == {"harmed": None, "handlers": [], "made": 0}, found
    assert person.complaints == [], page.url


async def test_given_payloads_in_every_field_when_each_view_is_looked_at_then_they_are_text(
    hostile: FleetUnderTest, person: Person, stained: tuple[RunView, RunView]
) -> None:
    view, cancelled = stained
    await person.look("/")
    await person.sign_in(hostile.operator_key)
    pages = ["/", "/console/runs", "/console/theaters", "/console/theaters/main", "/console/watch"]
    pages += ["/console/command-center", "/console/ledger", "/console/ledger?type=RUN_CREATED"]
    pages += ["/console/policy", *(f"/console/events/{view.run.first_seq + n}" for n in range(4))]
    for run in (view, cancelled):
        pages += [f"/console/chat/{run.run.run_id}", f"/console/runs/{run.run.run_id}"]
        pages += [f"/console/runs/{run.run.run_id}?at_seq={run.run.first_seq + 3}"]
        for order in run.orders:
            pages.append(f"/console/orders/{order.order_id}")
            pages += [f"/console/orders/{order.order_id}/artifact?path={a.path}" for a in order.artifacts]
    seen = ""
    for path in pages:
        await person.look(path)
        await _unharmed(person)
        await person.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
        seen += await person.page.inner_text("main")
        await _unharmed(person)
    assert seen.count("<img src=x onerror") > 20, "the payloads were not shown, so nothing was proven"
    assert "[image: pic]" in seen


async def test_given_a_payload_typed_into_each_form_when_sent_then_it_comes_back_as_text(
    hostile: FleetUnderTest, person: Person, stained: tuple[RunView, RunView]
) -> None:
    page = person.page
    await person.look(f"/console/sign-in?next={PAYLOAD}")
    await page.get_by_label("API key").fill(PAYLOAD)
    await page.keyboard.press("Enter")
    await page.get_by_role("alert").wait_for()
    person.complaints.clear()  # the browser remarks on the 401
    await _unharmed(person)
    await person.sign_in(hostile.operator_key)
    await person.look("/console/watch")
    card = page.locator("#part-escalations .card", has_text="onerror").first
    await card.get_by_label("What was done").fill(PAYLOAD)
    await card.get_by_role("button", name="Acknowledge").click()
    await page.get_by_text("Acknowledged as operator").wait_for()
    await person.look("/console/watch?state=acked")
    assert PAYLOAD[:30] in await page.inner_text("#part-escalations")
    await _unharmed(person)
    await page.goto(f"{hostile.url}/console/runs?status={PAYLOAD}")
    person.complaints.clear()  # the browser remarks on the 400
    await _unharmed(person)


async def test_given_a_picture_that_is_a_page_when_its_bytes_are_asked_for_inline_then_it_is_a_download(
    hostile: FleetUnderTest, person: Person, stained: tuple[RunView, RunView]
) -> None:
    view, _ = stained
    order = view.orders[0]
    await person.look("/")
    await person.sign_in(hostile.operator_key)
    path = f"/console/orders/{order.order_id}/raw?inline=1&path={order.artifacts[0].path}"
    answer = await person.context.request.get(hostile.url + path)
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
