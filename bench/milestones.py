"""Milestones accepted a second, verified and durable, beside an empty Litestar POST in the same run.

python bench/milestones.py [--seconds 3] [--rounds 3] [--json results.json]
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec

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


async def measure(seconds: float, rounds: int) -> dict[str, object]:
    """Run both in turn and return the figures."""
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
    ratios = [o / e for o, e in zip(ours, empty, strict=True)]
    return {
        "milestones_per_second": round(statistics.median(ours)),
        "empty_posts_per_second": round(statistics.median(empty)),
        "ratio": round(statistics.median(ratios), 3),
        "rounds": rounds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }


def main() -> None:
    """Print the figures, and write them where asked."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=3.0)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--json", type=Path)
    given = arguments.parse_args()
    found = asyncio.run(measure(given.seconds, given.rounds))
    for name, value in found.items():
        print(f"{name:<26} {value}")
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
