"""Milestones accepted a second, verified and durable, beside an empty Litestar POST in the same run.

python -m bench milestones
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import uvloop

from bench.load import post, rate
from bench.report import Aim, Row, paired
from bench.stand import SECRET, standing
from ironclaw_contracts.canonical import parse
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.milestones import INGEST_PATH
from ironclaw_contracts.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign

CONNECTIONS = 16
_PER_SECOND_MAX = 10_000


def delivery(path: str) -> bytes:
    """Return a fresh signed milestone as it goes over the wire."""
    now = format_instant(datetime.now(UTC))
    event = {
        "milestoneId": "bench",
        "timestampUtc": now,
        "scope": "bench",
        "claim": "It is measured.",
        "evidence": [{"type": "log", "path": "bench/milestones.py", "summary": "this run"}],
        "riskStatus": "on-track",
        "nextAction": "Read the table.",
        "source": "orchestrator",
    }
    body = msgspec.json.encode({"idempotencyKey": new_id(), "sentAtUtc": now, "event": event})
    return post(path, body, {SIGNATURE_HEADER: sign(SECRET, parse(body)), TIMESTAMP_HEADER: now})


def sources(path: str, seconds: float) -> list[Iterator[bytes]]:
    """Return milestones made beforehand, dealt out to the connections."""
    ready = iter([delivery(path) for _ in range(int(_PER_SECOND_MAX * seconds))])
    return [ready] * CONNECTIONS


def again(path: str) -> list[Iterator[bytes]]:
    """Return one milestone again and again: the baseline does not look at it."""
    request = delivery(path)
    return [iter(lambda: request, None)] * CONNECTIONS


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Run both in turn."""
    ours: list[float] = []
    empty: list[float] = []
    async with standing() as stand:
        await stand.service(Service.LEDGER)
        await stand.service(
            Service.OPENCLAWDBOT,
            IRONCLAW_OPENCLAWDBOT_INGEST_PER_SECOND="1000000",
            IRONCLAW_OPENCLAWDBOT_INGEST_BURST="1000000",
            MILESTONE_SIGNING_SECRET_FILE=str(stand.state.signing_secrets),
        )
        port, bot = await stand.litestar(), stand.port_of(Service.OPENCLAWDBOT)
        for _ in range(rounds):
            empty.append(await rate(port, again("/"), seconds))
            ready = sources(INGEST_PATH, seconds)
            ours.append(await rate(bot, ready, seconds))
    return [
        paired(
            "milestone ingest, verified and durable",
            "1/s",
            ours,
            empty,
            f"empty Litestar POST, {CONNECTIONS} connections",
            Aim(">=", 0.5),
        )
    ]


def rows() -> list[Row]:
    """Measure five rounds of two seconds each."""
    return uvloop.run(measure(2.0, 5))
