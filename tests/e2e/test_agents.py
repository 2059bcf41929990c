"""A model with tools on a user's repository: the loop, its limits, its record, and a unit that is lost in between."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ironclaw_contracts.artifacts import Constraints, ToolPolicy
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import Cause, OrderPhase, RunStatus
from ironclaw_contracts.snapshots import OrderSnapshot, RunView
from ironclaw_contracts.transcript import decode_transcript
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.model_server import ModelServer, Turn
from tests.support.package import make_package
from tests.support.waiting import ended, until

ALLOW = {".ironclaw/policy.toml": '[commands]\nallow = ["python3", "ruff"]\n'}
ONCE = Constraints(max_retries=0, budget_seconds=60)


def call(tool: str, **arguments: Any) -> tuple[str, str]:
    return tool, json.dumps(arguments)


def told(request: dict[str, Any]) -> list[str]:
    """What the model was told by its tools so far."""
    return [message["content"] for message in request["messages"] if message["role"] == "tool"]


def script(*turns: Turn) -> Callable[[dict[str, Any]], Turn]:
    """Answer the n-th question of a conversation with the n-th turn, the last one from then on."""

    def answer(request: dict[str, Any]) -> Turn:
        asked = sum(message["role"] == "assistant" for message in request["messages"])
        return turns[min(asked, len(turns) - 1)]

    return answer


def calls(*made: tuple[str, str]) -> Turn:
    return Turn(calls=made)


AGENT_CLI = """#!/usr/bin/python3
# Stands for an agent CLI: asks the model that its environment names, and writes what it says.
import json, os, pathlib, sys, urllib.request
body = {"model": os.environ["OPENAI_MODEL"], "messages": [{"role": "user", "content": sys.argv[1]}]}
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions",
    json.dumps(body).encode(),
    {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"], "Content-Type": "application/json"},
)
answer = json.load(urllib.request.urlopen(request, timeout=10))
pathlib.Path("answer.md").write_text(answer["choices"][0]["message"]["content"])
print("asked with", os.environ["OPENAI_API_KEY"])
"""
FINISH = calls(call("finish", summary="Did it."))


@pytest.fixture(scope="module")
def model() -> Iterator[ModelServer]:
    with ModelServer(lambda request: (200, "text")) as server:
        yield server


@pytest.fixture(scope="module")
def agents(open_root: Path, model: ModelServer) -> Iterator[FleetUnderTest]:
    prices = open_root / "prices.toml"
    prices.write_text('[models."test/model"]\ninput = 1.0\noutput = 2.0\n')
    environ = {
        "IRONCLAW_MODEL_BASE_URL": model.url,
        "IRONCLAW_MODEL_NAME": "test/model",
        "IOINTELLIGENCE_API_KEY": "planted-agent-key-4712",
        "IRONCLAW_MODEL_PRICES_FILE": str(prices),
        "IRONCLAW_MODEL_OUTPUT_TOKENS_MAX": "1000",
        "IRONCLAW_MODEL_CONCURRENCY": "8",
        "IRONCLAW_DUTY_OFFICER_WATCH_SECONDS": "0.3",
        "IRONCLAW_LEASE_SECONDS": "3",
        "IRONCLAW_WORKER_TOOLS": str(open_root / "tools"),
        "IRONCLAW_WORKER_MODEL_COMMANDS": "agent-cli",
    }
    program = open_root / "tools" / "bin" / "agent-cli"
    program.parent.mkdir(parents=True)
    program.write_text(AGENT_CLI)
    program.chmod(0o755)
    allowed = ("--allow", str(open_root / "agents-src"))
    with FleetUnderTest.started(open_root / "agents", environ, allowed) as fleet:
        yield fleet


async def opened(fleet: FleetUnderTest, root: Path, name: str) -> Path:
    repository = make_package(root / "agents-src" / name, 1, ALLOW)
    async with fleet.client() as client:
        await client.call(api.OPEN_THEATER, TheaterRequest(theater_id=name, repo_path=str(repository)))
    return repository


async def start(fleet: FleetUnderTest, theater: str, constraints: Constraints = ONCE, **inputs: Any) -> str:
    async with fleet.client() as client:
        chat = api.ChatRequest(
            message="Mend the shop",
            theater_hint=theater,
            playbook="agent",
            inputs=inputs,
            constraints=constraints,
            mode="async",
        )
        return (await client.call(api.CHAT, chat)).run_id


async def run(
    fleet: FleetUnderTest, theater: str, constraints: Constraints = ONCE, **inputs: Any
) -> tuple[RunView, OrderSnapshot]:
    run_id = await start(fleet, theater, constraints, **inputs)
    async with fleet.client() as client:
        view = await ended(client, run_id, 90)
    return view, view.orders[0]


async def test_given_an_agent_when_it_works_with_every_tool_then_its_work_is_merged_and_recorded(
    agents: FleetUnderTest, model: ModelServer, open_root: Path
) -> None:
    repository = await opened(agents, open_root, "whole")
    program = "import shop.part00 as p; print('first', p.first([7]))"
    model.script = script(
        calls(
            call("list"), call("search", text="Optional[int]"), call("read", path="shop/part00/__init__.py")
        ),
        calls(call("edit", path="shop/part00/__init__.py", old="Part part00.", new="The first part.")),
        calls(
            call("write", path="shop/notes.md", content="# Notes\n"),
            call("run", argv=["python3", "-c", program]),
        ),
        calls(
            call(
                "finish",
                summary="Described the first part.",
                commands=[["python3", "-c", program]],
                files_changed=["shop/notes.md", "shop/part00/__init__.py"],
            )
        ),
    )
    view, order = await run(agents, "whole")
    assert view.run.status is RunStatus.COMPLETE, view.run.reason
    assert "Described the first part." in (view.run.reply or "")
    assert "The first part." in (repository / "shop/part00/__init__.py").read_text()
    kept = decode_transcript(git(repository, "show", f"{order.merge_commit}^2:transcript.jsonl").encode())
    assert [one.tool for one in kept] == ["list", "search", "read", "edit", "write", "run", "finish"]
    assert "shop/part00/__init__.py:6" in kept[1].result
    assert kept[5].run is not None and kept[5].run.stdout == "first 7\n"
    subjects = git(repository, "log", "--format=%s", f"{order.merge_commit}^2").splitlines()
    assert sum(subject.startswith("agent: step") for subject in subjects) == 2  # commits as it goes
    report = json.loads(git(repository, "show", f"{order.merge_commit}^2:aar.json"))
    assert report["claims"]["commands"] == [["python3", "-c", program]]
    assert report["effort"]["tool_calls"]["run"] == 1 and report["effort"]["model_calls"] == 4
    assert report["effort"]["cost_microusd"] == 4 * (11 + 2 * 7)
    events = agents.cli_json("events", "--order", order.order_id, "--limit", "100")["events"]
    written = [event for event in events if event["type"] == "AAR_WRITTEN"]
    assert len(written) == 1 and written[0]["payload"]["effort"]["model_calls"] == 4
    names = [tool["function"]["name"] for tool in model.requests[-1]["tools"]]
    assert names == ["list", "read", "search", "write", "edit", "run", "finish"]


async def test_given_malformed_calls_when_made_then_the_model_is_told_and_can_mend_them(
    agents: FleetUnderTest, model: ModelServer, open_root: Path
) -> None:
    repository = await opened(agents, open_root, "malformed")
    model.script = script(
        calls(("write", '{"path": "a.md", "content": ')),
        calls(("erase", "{}"), ("write", "[]")),
        calls(call("write", path="a.md", content="x", mode="w")),
        calls(call("write", path="a.md", content="well formed\n")),
        FINISH,
    )
    view, order = await run(agents, "malformed")
    assert view.run.status is RunStatus.COMPLETE, view.run.reason
    kept = decode_transcript(git(repository, "show", f"{order.merge_commit}^2:transcript.jsonl").encode())
    assert [one.outcome for one in kept] == ["malformed"] * 4 + ["done"] * 2
    heard = told(model.requests[-1])
    assert "not a JSON object" in heard[0] and "there is no tool 'erase'" in heard[1]
    assert "unknown field `mode`" in heard[3]
    assert (repository / "a.md").read_text() == "well formed\n"


@pytest.mark.parametrize(
    ("turns", "inputs", "says"),
    [
        ((calls(("write", "{")),), {}, "5 malformed calls in a row"),
        ((calls(call("list")),), {"calls_max": 3}, "3 tool calls are used"),
        (
            (Turn(calls=(call("list"),), usage=(400, 300)),),
            {"tokens_max": 2_000},
            "inputs.tokens_max is 2000",
        ),
    ],
    ids=["malformed", "calls", "tokens"],
)
async def test_given_an_agent_without_end_when_a_limit_is_met_then_it_fails_and_says_which(
    agents: FleetUnderTest,
    model: ModelServer,
    open_root: Path,
    turns: tuple[Turn, ...],
    inputs: dict[str, Any],
    says: str,
) -> None:
    name = f"limit-{says.split()[1]}"
    await opened(agents, open_root, name)
    model.script = script(*turns)
    view, order = await run(agents, name, **inputs)
    assert order.phase is OrderPhase.FAILED and says in (view.run.reason or ""), view.run.reason


async def test_given_an_agent_that_dawdles_when_its_time_is_spent_then_it_fails(
    agents: FleetUnderTest, model: ModelServer, open_root: Path
) -> None:
    await opened(agents, open_root, "slow")
    model.script = lambda request: Turn(calls=(call("list"),), delay_seconds=1)
    view, _ = await run(agents, "slow", Constraints(max_retries=0, budget_seconds=4))
    assert "time is spent" in (view.run.reason or "") or "budget of 4 s" in (view.run.reason or "")


@pytest.mark.trust
async def test_given_an_agent_that_tries_to_get_out_when_it_calls_tools_then_each_is_refused_outside_of_it(
    agents: FleetUnderTest, model: ModelServer, open_root: Path
) -> None:
    repository = await opened(agents, open_root, "injected")
    secret = open_root / "secret.txt"
    secret.write_text("host secret 4713")
    steal = f"print(open({str(secret)!r}).read())"
    model.script = script(
        calls(
            call("read", path="../../secret.txt"),
            call("read", path=str(secret)),
            call("write", path=".ironclaw/policy.toml", content='[commands]\nallow = ["sh"]\n'),
            call("write", path=".git/hooks/post-commit", content="#!/bin/sh\n"),
            call("write", path="aar.json", content="{}"),
            call("run", argv=["sh", "-c", "id"]),
            call("run", argv=["python3", "-c", steal]),
            call("run", argv=["python3", "-c", "import os; print(sorted(os.environ))"]),
            call("run", argv=["python3", "-c", f"import os; os.symlink({str(secret)!r}, 'loot')"]),
        ),
        calls(call("read", path="loot"), call("write", path="loot", content="x")),
        calls(call("run", argv=["python3", "-c", "import os; os.remove('loot')"])),
        FINISH,
    )
    view, order = await run(agents, "injected")
    assert view.run.status is RunStatus.COMPLETE, view.run.reason
    kept = decode_transcript(git(repository, "show", f"{order.merge_commit}^2:transcript.jsonl").encode())
    refused = ["refused"] * 6 + ["failed", "done", "done"] + ["refused"] * 2 + ["done", "done"]
    assert [one.outcome for one in kept] == refused
    assert "'sh' is not allowed" in kept[5].result
    assert kept[7].run is not None and "IOINTELLIGENCE_API_KEY" not in kept[7].run.stdout
    said = json.dumps(model.requests)
    assert "host secret 4713" not in said and "planted-agent-key" not in said
    complaints = [m["content"] for m in model.requests[-1]["messages"] if m["role"] == "user"]
    assert any("Not committed" in text and "loot links to" in text for text in complaints)
    assert secret.read_text() == "host secret 4713"
    assert git(repository, "diff", "--name-only", f"{order.merge_commit}^1", str(order.merge_commit)) == ""


async def test_given_an_agent_with_a_narrow_allowlist_when_it_leaves_a_forbidden_change_then_the_order_fails(
    agents: FleetUnderTest, model: ModelServer, open_root: Path
) -> None:
    repository = await opened(agents, open_root, "narrow")
    before = git(repository, "rev-parse", "HEAD")
    model.script = script(
        calls(call("run", argv=["python3", "-c", "import os; os.symlink('/etc', 'tests/up')"])), FINISH
    )
    constraints = Constraints(max_retries=0, tool_policy=ToolPolicy(fs_allowlist=["tests/"]))
    view, order = await run(agents, "narrow", constraints)
    assert order.phase is OrderPhase.FAILED and "tests/up links to '/etc'" in (view.run.reason or "")
    assert git(repository, "rev-parse", "HEAD") == before


@pytest.mark.trust
async def test_given_a_worker_that_is_killed_mid_order_when_another_unit_goes_on_then_nothing_is_done_twice(
    agents: FleetUnderTest, model: ModelServer, open_root: Path
) -> None:
    repository = await opened(agents, open_root, "crash")
    hang = [True]

    def answer(request: dict[str, Any]) -> Turn:
        made = sum(len(m.get("tool_calls", [])) for m in request["messages"] if m["role"] == "assistant")
        if made == 0:
            return calls(call("write", path="shop/step1.md", content="one\n"))
        if made == 1 and hang[0]:
            time.sleep(2)
            return Turn(text="", status=503)
        if made == 1:
            return calls(call("write", path="shop/step2.md", content="two\n"))
        return FINISH

    model.script = answer
    run_id = await start(agents, "crash", Constraints(max_retries=1, budget_seconds=60))
    async with agents.client() as client:

        async def committed() -> bool | None:
            orders = (await client.call(api.GET_RUN, run_id=run_id)).orders
            branch = f"order_{orders[0].order_id}" if orders else "none"
            heads = git(repository, "branch", "--list", branch)
            return (
                True if heads and "agent: step 1" in git(repository, "log", "--format=%s", branch) else None
            )

        await until(committed, what="the first step")
        assert agents.kill("worker") == 1
        hang[0] = False
        asked_before = len(model.requests)
        view = await ended(client, run_id, 90)
    order = view.orders[0]
    assert view.run.status is RunStatus.COMPLETE, view.run.reason
    assert order.attempt > 1 and Cause.TASK not in {end.cause for end in order.history}
    assert (repository / "shop/step1.md").read_text() == "one\n"
    assert (repository / "shop/step2.md").read_text() == "two\n"
    kept = decode_transcript(git(repository, "show", f"{order.merge_commit}^2:transcript.jsonl").encode())
    assert [one.number for one in kept] == [1, 2, 3] and [one.tool for one in kept] == [
        "write",
        "write",
        "finish",
    ]
    after = model.requests[asked_before:]
    resumed = [r for r in after if any("unit before you was lost" in m["content"] for m in r["messages"])]
    assert resumed and told(resumed[0]) == ["made shop/step1.md"]


@pytest.mark.parametrize("allowed", [True, False], ids=["network", "no network"])
def test_given_an_agent_cli_when_run_as_a_command_then_it_reaches_the_model_only_where_policy_lets_it(
    agents: FleetUnderTest, model: ModelServer, open_root: Path, allowed: bool
) -> None:
    name = f"cli-{'on' if allowed else 'off'}"
    policy = f'[commands]\nallow = ["agent-cli"]\nnetwork = {"true" if allowed else "false"}\n'
    repository = make_package(open_root / "agents-src" / name, 1, {".ironclaw/policy.toml": policy})
    agents.cli("theater", "add", str(repository))
    model.script = lambda request: Turn(text=f"You said: {request['messages'][0]['content']}")
    command = ["agent-cli", "hello", "{paths}"]
    said = agents.cli(
        *("chat", "Ask", "--theater", name, "--playbook", "codemod", "--network", "--order-seconds", "60"),
        *("--input", f"command={json.dumps(command)}", "--input", 'split=["./"]'),
        code=0 if allowed else 1,
    )
    assert (repository / "answer.md").exists() is allowed
    if allowed:
        assert (repository / "answer.md").read_text() == "You said: hello" and "1 of 1 parts" in said
        kept = git(repository, "log", "--all", "-p", "--format=%H", "--", "transcript.jsonl")
        assert "asked with ***" in kept and "planted-agent-key" not in kept
    else:
        assert "URLError" in said or "Network is unreachable" in said or "refused" in said, said


async def test_given_a_model_that_just_talks_when_it_is_asked_to_work_then_its_words_are_the_summary(
    agents: FleetUnderTest, model: ModelServer, open_root: Path
) -> None:
    await opened(agents, open_root, "talk")
    model.script = lambda request: Turn(text="There is nothing to do here.")
    view, order = await run(agents, "talk", files=["README.md"])
    assert view.run.status is RunStatus.COMPLETE and order.artifacts == []
    assert "There is nothing to do here.: nothing changed" in (view.run.reply or "")
    assert "Worth reading first: README.md" in model.requests[-1]["messages"][1]["content"]


async def test_given_inputs_that_no_agent_knows_when_planned_then_the_field_is_named(
    agents: FleetUnderTest, open_root: Path
) -> None:
    await opened(agents, open_root, "inputs")
    run_id = await start(agents, "inputs", calls_max=0)
    async with agents.client() as client:
        view = await ended(client, run_id)
    assert view.run.status is RunStatus.FAILED and "calls_max" in (view.run.reason or "")


async def test_given_no_model_when_an_agent_is_asked_for_then_the_run_fails_and_the_mend_is_named(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client:
        answer = await client.call(api.CHAT, api.ChatRequest(message="Do", playbook="agent"))
    assert answer.status is RunStatus.FAILED and "IOINTELLIGENCE_API_KEY" in (answer.reason or "")
