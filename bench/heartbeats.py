"""Heartbeats verified and durable a second, on one core, beside bare Ed25519 verification in the same run.

python -m bench heartbeats
"""

import asyncio
import os
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.report import Aim, Row, paired
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.endpoints import openclawdbot_proof as api
from ironclaw_contracts.enums import Service
from ironclaw_contracts.poi.envelopes import Load, Signer, heartbeat_message
from ironclaw_fleet.cli.machine import running_fleet
from ironclaw_fleet.ports import free_port_row
from ironclaw_fleet.statedir import StateDirectory

CONNECTIONS = 16
NODES = 64


def beat(signer: Signer, seq_no: int) -> bytes:
    """Return a fresh signed heartbeat. Making it is not part of what is measured."""
    return msgspec.json.encode(
        heartbeat_message(
            signer,
            str(uuid.uuid4()),
            datetime.now(UTC),
            seq_no=seq_no,
            status="online",
            uptime_seconds=1.0,
            load=Load(0.1, 0.2, 3),
            active_intents=[],
            metadata={"service": "bench"},
        )
    )


def bare(seconds: float) -> float:
    """Return Ed25519 verifications a second on one core, of canonical heartbeats."""
    key = Ed25519PrivateKey.generate()
    message = msgspec.json.decode(beat(Signer(str(uuid.uuid4()), "Worker", key, "v1"), 1))
    text = jcs(message["heartbeat"])
    blob, public = key.sign(text), key.public_key()
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        for _ in range(100):
            public.verify(blob, text)
        done += 100
    return done / (time.perf_counter() - started)


async def validated(url: str, signers: list[Signer], numbers: dict[str, int], seconds: float) -> float:
    """Return heartbeats answered a second; each node's own are sent in order."""
    ready: dict[str, list[bytes]] = {}
    for signer in signers:
        first = numbers[signer.node_id]
        count = int(60 * seconds)
        ready[signer.node_id] = [beat(signer, first + n) for n in range(count)]
        numbers[signer.node_id] += count
    done = 0
    share = len(signers) // CONNECTIONS
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
        started = time.perf_counter()

        async def send(mine: list[Signer]) -> None:
            nonlocal done
            for round_ in range(int(60 * seconds)):
                for signer in mine:
                    if time.perf_counter() - started > seconds:
                        return
                    async with session.post(url, data=ready[signer.node_id][round_]) as response:
                        answer = await response.read()
                        if b'"accepted"' not in answer:
                            raise SystemExit(f"{response.status}: {answer!r}")
                    done += 1

        await asyncio.gather(*(send(signers[i * share : (i + 1) * share]) for i in range(CONNECTIONS)))
        return done / (time.perf_counter() - started)


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Run both in turn."""
    os.environ["IRONCLAW_LOG_LEVEL"] = "warning"
    ours: list[float] = []
    plain: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ironclaw-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        state, port_base = StateDirectory(Path(folder) / "fleet"), free_port_row()
        async with running_fleet(state, port_base=port_base, workers=1, quiet=True):
            settings = ServiceSettings(port_base=port_base)
            addresses = Addresses(settings, {})
            signers = [
                Signer(str(uuid.uuid4()), "Worker", Ed25519PrivateKey.generate(), "v1") for _ in range(NODES)
            ]
            identity = Identity.load(Service.API_GATEWAY, state.keys)
            async with ServiceClient(identity, addresses) as client:
                for signer in signers:
                    request = api.Registration(
                        node_id=signer.node_id, role="Worker", public_key_ref=signer.did
                    )
                    await client.call(api.REGISTER_NODE, request)
            numbers = {signer.node_id: 1 for signer in signers}
            url = addresses.url(Service.OPENCLAWDBOT) + api.HEARTBEAT.path
            for _ in range(rounds):
                plain.append(await asyncio.to_thread(bare, seconds))
                ours.append(await validated(url, signers, numbers, seconds))
    return [
        paired(
            "heartbeats, verified and durable",
            "1/s",
            ours,
            plain,
            "bare Ed25519 verification on one core",
            Aim(">=", 0.3),
        )
    ]


def rows() -> list[Row]:
    """Measure three rounds of three seconds each."""
    return asyncio.run(measure(3.0, 3))
