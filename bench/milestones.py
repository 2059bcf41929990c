"""Milestones accepted a second, verified and durable, beside an empty Litestar POST in the same run.

python -m bench milestones
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec

from bench.report import Aim, Row, paired
from ironclaw_contracts.canonical import parse
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.milestones import INGEST_PATH
from ironclaw_contracts.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from ironclaw_fleet.cli.machine import running_fleet
from ironclaw_fleet.ports import free_port, free_port_row
from ironclaw_fleet.statedir import StateDirectory

CONNECTIONS = 16
BASELINE = """
import sys, uvicorn
from litestar import Litestar, Request, post

@post("/", status_code=200)
async def take(request: Request) -> dict[str, bool]:
    await request.body()
    return {"ok": True}

uvicorn.run(Litestar([take]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
"""


def delivery(secret: str) -> tuple[bytes, dict[str, str]]:
    """Return a fresh signed milestone. Making it is not part of what is measured."""
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
    return body, {SIGNATURE_HEADER: sign(secret, parse(body)), TIMESTAMP_HEADER: now}


async def rate(url: str, secret: str, seconds: float) -> float:
    """Return answered requests a second with 16 connections; the requests are made beforehand."""
    ready = [delivery(secret) for _ in range(int(8_000 * seconds))]
    done = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
        started = time.perf_counter()
        deadline = started + seconds

        async def send() -> None:
            nonlocal done
            while ready and time.perf_counter() < deadline:
                body, headers = ready.pop()
                async with session.post(url, data=body, headers=headers) as response:
                    if response.status != 200:
                        raise SystemExit(f"{response.status}: {await response.text()}")
                    await response.read()
                done += 1

        await asyncio.gather(*(send() for _ in range(CONNECTIONS)))
        return done / (time.perf_counter() - started)


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Run both in turn."""
    os.environ["IRONCLAW_OPENCLAWDBOT_INGEST_PER_SECOND"] = "1000000"
    os.environ["IRONCLAW_OPENCLAWDBOT_INGEST_BURST"] = "1000000"
    os.environ["IRONCLAW_LOG_LEVEL"] = "warning"
    ours: list[float] = []
    empty: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ironclaw-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        state = StateDirectory(Path(folder) / "fleet")
        port, port_base = free_port(), free_port_row()
        baseline = subprocess.Popen([sys.executable, "-c", BASELINE, str(port)])
        try:
            async with running_fleet(state, port_base=port_base, workers=1, quiet=True) as fleet:
                secret = state.signing_secrets.read_text().split(",")[0]
                bot = port_base + 10
                assert fleet.gateway_url and Service.OPENCLAWDBOT
                for _ in range(rounds):
                    empty.append(await rate(f"http://127.0.0.1:{port}/", secret, seconds))
                    ours.append(await rate(f"http://127.0.0.1:{bot}{INGEST_PATH}", secret, seconds))
        finally:
            baseline.kill()
    return [
        paired(
            "milestone ingest, verified and durable",
            "1/s",
            ours,
            empty,
            "empty Litestar POST",
            Aim(">=", 0.5),
        )
    ]


def rows() -> list[Row]:
    """Measure three rounds of three seconds each."""
    return asyncio.run(measure(3.0, 3))
