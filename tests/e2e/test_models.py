"""A fleet with a model: prompts, plans made by the model, and what happens when the provider fails."""

import contextlib
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from ironclaw_chassis.identity import Identity
from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import Cause, OrderPhase, RunStatus, Service
from ironclaw_contracts.events import EventType
from tests.support.fleet import FleetUnderTest
from tests.support.model_server import ModelServer, Turn
from tests.support.otlp import OtlpReceiver
from tests.support.package import make_package
from tests.support.suites import events_of
from tests.support.waiting import ended, until

KEY = "planted-model-key-4711"
HEADER_SECRET = "planted-otlp-header-8823"
TELL = (
    "import glob, pathlib\n"
    "def read(path):\n"
    "    try: return pathlib.Path(path).read_bytes()\n"
    "    except OSError: return b''\n"
    "seen = b''.join(read(one) for one in glob.glob('/proc/[0-9]*/environ')).hex()\n"
)
"""A program's environment, and that of every process it can see, in hex: what is redacted would not show."""
CHECK = "print(seen)\nimport ast\nast.parse(read('shop/part00/__init__.py'))"
GATE = """
[[gate]]
name = "look"
run = ["python3", "-c", {program}]
planted = {{ path = "shop/part00/__init__.py", content = "(" }}
"""


def is_plan(request: dict[str, Any]) -> bool:
    return "You plan work" in request["messages"][0]["content"]


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer(lambda request: (200, "text")) as server:
        yield server


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as listening:
        yield listening


@pytest.fixture(scope="module")
def thinking(open_root: Path, model: ModelServer, receiver: OtlpReceiver) -> Iterator[FleetUnderTest]:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-token={HEADER_SECRET}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "1000",
        "IRONCLAW_MODEL_BASE_URL": model.url,
        "IRONCLAW_MODEL_NAME": "test/model",
        "IOINTELLIGENCE_API_KEY": KEY,
        "IRONCLAW_DUTY_OFFICER_WATCH_SECONDS": "0.3",
    }
    allowed = ("--allow", str(open_root / "models-src"))
    with FleetUnderTest.started(open_root / "thinking", environ, allowed) as fleet:
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


def planted(fleet: FleetUnderTest) -> set[bytes]:
    """Everything that the fleet was given or made for itself and must not tell: the longest line of each file."""
    files = [path for path in fleet.state.keys.rglob("*") if path.is_file() and path.suffix != ".pub"]
    found = {max(path.read_bytes().split(), key=len) for path in files}
    config = dict(
        line.split(" ", 1) for line in (fleet.state.valkey / "valkey.conf").read_text().splitlines() if line
    )
    found |= {KEY.encode(), HEADER_SECRET.encode(), config["requirepass"].encode()}
    assert len(found) > 20 and all(len(secret) >= 20 for secret in found), sorted(map(len, found))
    return found


def assert_untold(secrets: set[bytes], content: bytes, where: object) -> None:
    for secret in secrets:
        assert secret not in content, f"{secret[:4]!r}... in {where}"


@pytest.mark.trust
@pytest.mark.parametrize("status", [400, 503])
async def test_given_a_provider_that_repeats_the_key_when_it_refuses_then_nobody_is_told_it(
    thinking: FleetUnderTest, model: ModelServer, status: int
) -> None:
    model.script = lambda request: (status, f"Incorrect API key provided: {KEY}.")
    constraints = Constraints(max_retries=0, budget_seconds=2)
    async with thinking.client() as client:
        chat = api.ChatRequest(message="Draft", playbook="draft", mode="async", constraints=constraints)
        view = await ended(client, (await client.call(api.CHAT, chat)).run_id)
        why = await client.call(api.WHY_RUN, run_id=view.run.run_id)
    assert view.run.status is RunStatus.FAILED and view.run.reason
    assert KEY.encode() not in msgspec.json.encode([view, why])


@pytest.mark.trust
async def test_given_calls_that_fail_when_they_are_answered_then_no_body_or_header_tells_a_secret(
    thinking: FleetUnderTest,
) -> None:
    """Every route of every service: without a key, with another's token, a key cut short, a body of nonsense."""
    secrets, answered = planted(thinking), 0
    key = thinking.operator_key
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        for service, endpoints in ALL.items():
            of_co = Identity.load(Service.CO, thinking.state.keys).token_for(Service.LEDGER)
            good = key if service is Service.API_GATEWAY else of_co
            credentials = [None, f"Bearer {key[:-1]}", f"Basic {key}", f"Bearer {of_co}", f"Bearer {good}"]
            for endpoint, credential in itertools.product(endpoints, credentials):
                if endpoint.form == "events" or (credential == credentials[-1] and endpoint.method != "GET"):
                    continue
                path = re.sub(r"\{\w+\}", "nobody", endpoint.path)
                async with session.request(
                    endpoint.method,
                    f"http://127.0.0.1:{thinking.port_of(service)}{path}",
                    params={"limit": "x", "as_of": "x", "path": "../x"},
                    data=None if endpoint.method == "GET" else b"{",
                    headers={} if credential is None else {"Authorization": credential},
                ) as answer:
                    told = await answer.read() + repr(answer.headers).encode()
                    answered += answer.status >= 400
                    assert_untold(secrets, told, f"{endpoint.method} {path} of {service}: {answer.status}")
    assert answered > 300


@pytest.mark.trust
async def test_given_a_command_and_a_gate_when_they_tell_their_environment_then_no_secret_is_in_it(
    thinking: FleetUnderTest, open_root: Path
) -> None:
    policy = {".ironclaw/policy.toml": '[commands]\nallow = ["python3"]\n'}
    gate = {".ironclaw/gates.toml": GATE.format(program=json.dumps(TELL + CHECK))}
    repository = make_package(open_root / "models-src" / "told", 1, policy | gate)
    thinking.cli("theater", "add", str(repository))
    command = ["python3", "-c", TELL + "pathlib.Path('seen.txt').write_text(seen)", "{paths}"]
    said = thinking.cli(
        *("chat", "Look around", "--theater", "told", "--playbook", "codemod"),
        *("--input", f"command={json.dumps(command)}", "--input", 'split=["./"]'),
    )
    assert "1 of 1 parts" in said, said
    order = thinking.cli_json("orders", "--limit", "1")["orders"][0]["order_id"]
    async with thinking.client() as client:
        (passed,) = await events_of(client, order, EventType.INTEGRATION_PASSED)
        output = next(g["output"] for g in passed.payload["gates"] if g["gate"] == "look")
        printed = await client.call(api.READ_OUTPUT, output_id=output)
    for where, text in (
        ("command", (repository / "seen.txt").read_text()),
        ("gate", printed.decode().split()[-1]),
    ):
        seen = bytes.fromhex(text)
        assert b"PATH=" in seen, where  # so that it did look
        assert_untold(planted(thinking), seen, where)


@pytest.mark.trust
async def test_given_planted_secrets_when_everything_told_and_written_is_searched_then_they_are_nowhere(
    thinking: FleetUnderTest, receiver: OtlpReceiver
) -> None:
    """After all of the above: logs, repositories, the ledger, command lines, exported traces and metrics."""
    secrets = planted(thinking)
    for path in [*thinking.state.logs.iterdir(), *_vault_files(thinking.state.vault)]:
        assert_untold(secrets, path.read_bytes(), path)
    exported = thinking.state.path / "export.jsonl"
    thinking.cli("ledger", "export", str(exported))
    assert_untold(secrets, exported.read_bytes(), "the ledger's export")
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                assert_untold(secrets, (process / "cmdline").read_bytes(), process)

    async def failures() -> bool | None:
        return (any(span.error for span in list(receiver.spans)) and bool(receiver.metrics)) or None

    await until(failures, 20, "the spans of what failed")
    sent = list(receiver.raw)
    assert_untold(secrets, b"\n".join(sent), "what was exported")
    assert any(HEADER_SECRET in headers for headers in receiver.headers)  # to the collector, and only there


def _vault_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
