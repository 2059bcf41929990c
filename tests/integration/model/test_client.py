"""The model client against a scripted provider: streaming, retries, limits, money, cassettes."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from ironclaw_chassis.model import (
    NO_PRICES,
    Cassette,
    Message,
    ModelClient,
    ModelError,
    ModelRequest,
    Payer,
    Price,
    Prices,
    ToolSpec,
    read_prices,
)
from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import SettingsError
from ironclaw_contracts.enums import Cause
from tests.support.model_server import ModelServer, Turn

PAYER = Payer(run_id="r", profile="p")
IN_AN_HOUR = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
LONG_AGO = "Wed, 21 Oct 2015 07:28:00 GMT"
READ = ToolSpec("read", "Read a file.", {"type": "object", "properties": {"path": {"type": "string"}}})


class Ledger:
    """A purse that keeps what it is told; the real accounts are tried in the ledger's own tests."""

    def __init__(self) -> None:
        self.reserved: list[tuple[int, int | None]] = []
        self.settled: list[tuple[int, int]] = []

    async def reserve(self, payer: Payer, tokens: int, cost_microusd: int | None) -> str:
        self.reserved.append((tokens, cost_microusd))
        return str(len(self.reserved))

    async def settle(self, reservation_id: str, tokens: int, cost_microusd: int) -> None:
        self.settled.append((tokens, cost_microusd))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer(lambda request: (200, "an answer in several pieces, as it is streamed")) as running:
        yield running


@pytest.fixture
def purse() -> Ledger:
    return Ledger()


def client(server: ModelServer, purse: Ledger, **changes: Any) -> ModelClient:
    options: dict[str, Any] = {"prices": NO_PRICES, "output_tokens_max": 100, "concurrency": 4}
    return ModelClient(server.url, Secret("key"), purse, **(options | changes))


def request(text: str = "hello", tools: tuple[ToolSpec, ...] = ()) -> ModelRequest:
    message = Message(role="user", content=text)
    return ModelRequest(model="m", messages=(message,), temperature=0.1, output_tokens_max=100, tools=tools)


async def ask(asked: ModelClient, text: str = "hello", seconds: float = 20.0, **options: Any) -> Any:
    return await asked.ask(request(text, **options), PAYER, timeout_seconds=seconds)


async def test_given_a_stream_when_gathered_then_text_tools_and_usage_are_whole(
    server: ModelServer, purse: Ledger
) -> None:
    asked = client(server, purse)
    reply = await ask(asked)
    assert reply.text == "an answer in several pieces, as it is streamed"
    assert (reply.tokens_in, reply.tokens_out, reply.model) == (11, 7, "m")
    server.script = lambda _: Turn(calls=(("read", '{"path": "a/long/enough/name.py"}'), ("list", "{}")))
    reply = await ask(asked, tools=(READ,))
    assert [(call.name, call.arguments) for call in reply.tool_calls] == [
        ("read", '{"path": "a/long/enough/name.py"}'),
        ("list", "{}"),
    ]
    assert reply.finish_reason == "tool_calls"
    sent = server.requests[-1]
    assert sent["max_tokens"] == 100 and sent["tools"][0]["function"]["name"] == "read"
    await asked.aclose()


async def test_given_prices_when_a_call_is_made_then_the_worst_case_is_reserved_and_the_real_one_settled(
    server: ModelServer, purse: Ledger
) -> None:
    prices = Prices(models={"m": Price(input=2.0, output=10.0)})
    asked = client(server, purse, prices=prices)
    reply = await ask(asked, "x" * 1_000)
    ((tokens, cost),) = purse.reserved
    assert tokens > 1_100 and cost is not None and cost >= 2 * 1_000 + 10 * 100
    assert purse.settled == [(18, 2 * 11 + 10 * 7)] and reply.cost_microusd == 92
    server.script = lambda _: Turn(text="not counted", usage=None)
    await ask(asked)
    assert purse.settled[-1] == purse.reserved[-1]
    await asked.aclose()


async def test_given_a_limit_when_the_provider_names_a_pause_then_it_is_kept_and_only_the_answer_is_charged(
    server: ModelServer, purse: Ledger
) -> None:
    turns = iter(
        [Turn(status=429, text="slow down", headers={"Retry-After": "1"}), Turn(status=503, text="busy")]
    )
    server.script = lambda _: next(turns, Turn(text="at last"))
    asked = client(server, purse)
    began = time.monotonic()
    assert (await ask(asked)).text == "at last"
    assert time.monotonic() - began >= 1.0
    assert purse.settled == [(0, 0), (0, 0), (18, 0)]
    await asked.aclose()


@pytest.mark.parametrize(
    ("turn", "cause", "tries"),
    [
        (Turn(status=429, text="limit", headers={"Retry-After": "3600"}), Cause.QUOTA, 1),
        (Turn(status=429, text="limit", headers={"Retry-After": IN_AN_HOUR}), Cause.QUOTA, 1),
        (Turn(status=503, text="busy", headers={"Retry-After": LONG_AGO}), Cause.PROVIDER_DOWN, 3),
        (Turn(status=401, text="who"), Cause.AUTH, 1),
        (Turn(status=400, text="too long"), Cause.TASK, 1),
        (Turn(status=500, text="oh"), Cause.PROVIDER_DOWN, 3),
        (Turn(text=""), Cause.TASK, 1),
        (Turn(raw=b"data: {not json}\n\n"), Cause.PROVIDER_DOWN, 3),
        (Turn(raw=b"<html>busy</html>"), Cause.PROVIDER_DOWN, 3),
        (Turn(text="x" * 500, cut_after=5), Cause.PROVIDER_DOWN, 3),
    ],
    ids=[
        "long pause",
        "until a date",
        "a date that is over",
        "key",
        "request",
        "server",
        "empty",
        "garbled",
        "no stream",
        "cut off",
    ],
)
async def test_given_a_failure_when_asked_then_it_is_typed_and_only_the_provider_s_are_tried_again(
    server: ModelServer, purse: Ledger, turn: Turn, cause: Cause, tries: int
) -> None:
    server.script = lambda _: turn
    asked = client(server, purse)
    with pytest.raises(ModelError) as failed:
        await ask(asked)
    assert failed.value.cause is cause and len(server.requests) == tries
    assert len(purse.settled) == len(purse.reserved) == tries
    await asked.aclose()


async def test_given_a_stream_that_hangs_when_asked_then_it_is_charged_in_full_and_bounded(
    server: ModelServer, purse: Ledger
) -> None:
    asked = client(server, purse)
    server.script = lambda _: Turn(text="x" * 500, delay_seconds=5)
    with pytest.raises(ModelError, match="did not finish within 1 s"):
        await ask(asked, seconds=1)
    assert purse.settled[-1][0] == purse.reserved[-1][0]
    await asked.aclose()


async def test_given_a_concurrency_limit_when_many_ask_then_no_more_are_under_way(
    server: ModelServer, purse: Ledger
) -> None:
    server.script = lambda _: Turn(text="ok", delay_seconds=0.1)
    asked = client(server, purse, concurrency=3)
    await asyncio.gather(*(ask(asked, str(number)) for number in range(12)))
    assert server.at_once_max == 3
    await asked.aclose()


async def test_given_a_cassette_when_recorded_then_it_replays_without_a_provider(
    server: ModelServer, purse: Ledger, tmp_path: Path
) -> None:
    path = tmp_path / "tape.jsonl"
    answers = iter(["first", "second"])
    server.script = lambda _: (200, next(answers))
    recording = client(server, purse, cassette=Cassette.parse(f"record:{path}"))
    assert [(await ask(recording)).text for _ in range(2)] == ["first", "second"]
    await recording.aclose()
    nobody = ModelServer(lambda _: (500, "must not be asked"))
    replaying = client(nobody, purse, cassette=Cassette.parse(f"replay:{path}"))
    assert replaying.available
    assert [(await ask(replaying)).text for _ in range(2)] == ["first", "second"]
    with pytest.raises(ModelError, match="no answer"):
        await ask(replaying, "another question")
    assert b"key" not in path.read_bytes() and b"hello" not in path.read_bytes()


@pytest.mark.parametrize("setting", ["tape", "erase:/x", "replay:", "replay:/does/not/exist"])
def test_given_a_cassette_that_is_none_when_opened_then_the_setting_is_named(setting: str) -> None:
    with pytest.raises(SettingsError, match="IRONCLAW_MODEL_CASSETTE"):
        Cassette.parse(setting)


@pytest.mark.parametrize("text", ["models = 3", '[models."m"]\ninput = -1\noutput = 0', "[model.x]", "= ="])
def test_given_a_price_table_that_is_none_when_read_then_the_setting_is_named(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="IRONCLAW_MODEL_PRICES_FILE"):
        read_prices(str(path))
    path.write_text('[models."org/model"]\ninput = 0.5\noutput = 1\n')
    assert read_prices(str(path)).of("org/model") == Price(input=0.5, output=1.0)
