"""A fleet with a model: prompts, plans made by the model, and what happens when the provider fails."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import Cause, OrderPhase, RunStatus
from tests.support.fleet import FleetUnderTest
from tests.support.model_server import ModelServer, Turn
from tests.support.waiting import ended

KEY = "planted-model-key-4711"


def is_plan(request: dict[str, Any]) -> bool:
    return "You plan work" in request["messages"][0]["content"]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer(lambda request: (200, "text")) as server:
        yield server


@pytest.fixture(scope="module")
def thinking(open_root: Path, model: ModelServer) -> Iterator[FleetUnderTest]:
    environ = {
        "IRONCLAW_MODEL_BASE_URL": model.url,
        "IRONCLAW_MODEL_NAME": "test/model",
        "IOINTELLIGENCE_API_KEY": KEY,
        "IRONCLAW_DUTY_OFFICER_WATCH_SECONDS": "0.3",
    }
    with FleetUnderTest.started(open_root / "thinking", environ) as fleet:
        yield fleet


async def test_given_a_model_when_it_plans_a_chain_then_the_orders_follow_it(
    thinking: FleetUnderTest, model: ModelServer
) -> None:
    chain = {
        "tasks": [
            {"title": "Find facts", "objective": "List the facts"},
            {"title": "Write", "objective": "Write it up", "after": [1]},
        ]
    }
    model.script = lambda request: (
        200,
        f"Here: {json.dumps(chain)}" if is_plan(request) else "# The model's text",
    )
    async with thinking.client() as client:
        answer = await client.call(api.CHAT, api.ChatRequest(message="Tell me about dams"))
        view = await client.call(api.GET_RUN, run_id=answer.run_id)
    assert answer.status is RunStatus.COMPLETE, answer.reason
    assert answer.reply == "# The model's text"
    assert [order.title for order in view.orders] == ["Find facts", "Write"]
    assert view.run.plan is not None and view.run.plan.planner == "model"
    report = view.orders[0].report
    assert report is not None and report.model is not None
    assert (report.model.provider, report.model.name, report.model.tokens_out) == (
        "io.intelligence",
        "test/model",
        7,
    )
    assert model.keys == {f"Bearer {KEY}"}
    prompts = [request["messages"][1]["content"] for request in model.requests if not is_plan(request)]
    assert "List the facts" in prompts[0] and f"Order `{view.orders[0].order_id}`" in prompts[0]  # task.md
    assert f"--- begin outputs/{view.run.run_id}/01.md ---" in prompts[1]


@pytest.mark.parametrize(
    "plan",
    ["no json at all", '{"tasks": []}', '{"tasks": [{"title": "a", "objective": "b", "after": [1]}]}'],
    ids=["prose", "empty", "waits for itself"],
)
async def test_given_a_bad_plan_when_made_then_one_draft_is_written_and_the_reply_says_so(
    thinking: FleetUnderTest, model: ModelServer, plan: str
) -> None:
    model.script = lambda request: (200, plan if is_plan(request) else "drafted")
    async with thinking.client() as client:
        answer = await client.call(api.CHAT, api.ChatRequest(message="Tell me about locks"))
        view = await client.call(api.GET_RUN, run_id=answer.run_id)
    assert answer.status is RunStatus.COMPLETE and len(view.orders) == 1
    assert view.run.plan is not None and view.run.plan.planner == "fallback"
    assert answer.reply is not None and "Planned as one draft" in answer.reply


async def test_given_a_task_that_the_model_cannot_do_when_retries_are_spent_then_the_run_fails_with_all_reasons(
    thinking: FleetUnderTest, model: ModelServer
) -> None:
    model.script = lambda request: (400, "context too long")
    async with thinking.client() as client:
        chat = api.ChatRequest(message="Draft", playbook="draft", mode="async")
        run_id = (await client.call(api.CHAT, chat)).run_id
        view = await ended(client, run_id)
    order = view.orders[0]
    assert view.run.status is RunStatus.FAILED and order.phase is OrderPhase.FAILED
    assert order.attempt == 2 and "retries spent after 2 attempts" in (view.run.reason or "")
    assert [end.cause for end in order.history] == [Cause.TASK] * 3


async def test_given_a_provider_that_fails_for_a_while_when_it_is_back_then_the_order_is_done_and_no_retry_was_spent(
    thinking: FleetUnderTest, model: ModelServer
) -> None:
    answers = iter([(503, "busy")] * 4)
    model.script = lambda request: next(answers, (200, "back again"))
    async with thinking.client() as client:
        chat = api.ChatRequest(message="Draft", playbook="draft", mode="async")
        run_id = (await client.call(api.CHAT, chat)).run_id
        view = await ended(client, run_id)
    order = view.orders[0]
    assert view.run.status is RunStatus.COMPLETE and view.run.reply == "back again"
    assert {end.cause for end in order.history} == {Cause.PROVIDER_DOWN}


async def test_given_a_slow_model_when_the_budget_is_spent_then_the_attempt_fails(
    thinking: FleetUnderTest, model: ModelServer
) -> None:
    import time

    def slow(request: dict[str, Any]) -> tuple[int, str]:
        time.sleep(1.5)
        return 200, "too late"

    model.script = slow
    constraints = Constraints(budget_seconds=1, max_retries=0)
    async with thinking.client() as client:
        chat = api.ChatRequest(message="Draft", playbook="draft", constraints=constraints)
        answer = await client.call(api.CHAT, chat)
    assert answer.status is RunStatus.FAILED
    assert "budget of 1 s" in (answer.reason or "")


async def test_given_a_ceiling_of_tokens_when_a_run_could_pass_it_then_no_call_is_made_and_the_figures_are_named(
    thinking: FleetUnderTest, model: ModelServer
) -> None:
    model.script = lambda request: (200, "cheap enough")
    before = len(model.requests)
    said = thinking.cli("chat", "Draft", "--playbook", "draft", "--spend-tokens", "100", code=1)
    assert "the budget does not allow it: run" in said and "reserved of 100" in said
    assert len(model.requests) == before
    said = thinking.cli("chat", "Draft", "--playbook", "draft", "--spend-usd", "1", code=1)
    assert "IRONCLAW_MODEL_PRICES_FILE" in said
    run = thinking.cli_json("chat", "Draft", "--playbook", "draft", "--spend-tokens", "20000")["run"][
        "run_id"
    ]
    (of_run, of_key) = thinking.cli_json("spending", run)["accounts"]
    assert (of_run["tokens"], of_run["reserved_tokens"]) == (18, 0)
    assert of_run["ceiling"] == {"tokens": 20000} and of_key["account"] == "key operator"
    assert "no ceiling" in thinking.cli("spending", run)


async def test_given_a_key_with_a_ceiling_when_its_runs_have_spent_it_then_it_is_refused_and_others_are_not(
    thinking: FleetUnderTest, model: ModelServer
) -> None:
    from ironclaw_chassis.client import ServiceClient
    from ironclaw_fleet.cli.session import GatewayAddress, KeyCredentials

    model.script = lambda request: Turn(text="spent", usage=(3_000, 2_000))
    made = thinking.cli_json("keys", "create", "frugal", "--spend-tokens", "9000", "--spend-usd", "5")
    thinking.cli("keys", "create", "free")
    chat = api.ChatRequest(message="Draft", playbook="draft", constraints=Constraints(max_retries=0))
    async with ServiceClient(KeyCredentials(made["secret"]), GatewayAddress(thinking.url)) as frugal:
        refused = await frugal.call(api.CHAT, chat)
        spending = await frugal.call(api.RUN_SPENDING, run_id=refused.run_id)
    assert refused.status is RunStatus.FAILED and "has a ceiling in US dollars" in (refused.reason or "")
    assert spending.accounts[1].ceiling.usd == 5
    made = thinking.cli_json("keys", "create", "counted", "--spend-tokens", "9000")
    async with ServiceClient(KeyCredentials(made["secret"]), GatewayAddress(thinking.url)) as counted:
        answers = [await counted.call(api.CHAT, chat) for _ in range(2)]
    assert [answer.status for answer in answers] == [RunStatus.COMPLETE, RunStatus.FAILED]
    assert f"key {made['key']['key_id']}: this call may take" in (answers[1].reason or "")


def test_given_a_model_key_when_everything_written_is_searched_then_it_is_nowhere(
    thinking: FleetUnderTest,
) -> None:
    secrets = [KEY, thinking.operator_key, (thinking.state.keys / "postgres.password").read_text().strip()]
    for path in [*thinking.state.logs.iterdir(), *_vault_files(thinking.state.vault)]:
        content = path.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, path
    exported = thinking.state.path / "export.jsonl"
    thinking.cli("ledger", "export", str(exported))
    for secret in secrets:
        assert secret not in exported.read_text()
        for process in Path("/proc").iterdir():
            if process.name.isdecimal():
                try:
                    assert secret.encode() not in (process / "cmdline").read_bytes()
                except OSError:
                    continue


def _vault_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
