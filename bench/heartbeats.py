"""Heartbeats verified and durable a second, on one core, beside bare Ed25519 verification in the same run.

python -m bench heartbeats
"""

import asyncio
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.load import post, rate
from bench.report import Aim, Row, paired
from bench.stand import standing
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.endpoints import openclawdbot_proof as api
from ironclaw_contracts.enums import Service
from ironclaw_contracts.poi.envelopes import Load, Signer, heartbeat_message

CONNECTIONS = 16
NODES = 64
ROUNDS_MADE = 150
"""Heartbeats of each node that a round has in store."""


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


async def ordered(url_path: str, signers: list[Signer], numbers: dict[str, int]) -> list[Iterator[bytes]]:
    """Return heartbeats made beforehand, a share of the nodes for each connection: a node's stay in order."""
    share = len(signers) // CONNECTIONS
    made: list[Iterator[bytes]] = []
    for connection in range(CONNECTIONS):
        mine = signers[connection * share : (connection + 1) * share]
        ready: list[bytes] = []
        for _ in range(ROUNDS_MADE):
            for signer in mine:
                ready.append(post(url_path, beat(signer, numbers[signer.node_id])))
                numbers[signer.node_id] += 1
        made.append(iter(ready))
    return made


async def measure(seconds: float, rounds: int) -> list[Row]:
    """Run both in turn."""
    ours: list[float] = []
    plain: list[float] = []
    async with standing() as stand:
        await stand.service(Service.LEDGER)
        await stand.service(
            Service.OPENCLAWDBOT, MILESTONE_SIGNING_SECRET_FILE=str(stand.state.signing_secrets)
        )
        signers = [
            Signer(str(uuid.uuid4()), "Worker", Ed25519PrivateKey.generate(), "v1") for _ in range(NODES)
        ]
        identity = Identity.load(Service.API_GATEWAY, stand.state.keys)
        addresses = Addresses(ServiceSettings(port_base=stand.port_base), {})
        async with ServiceClient(identity, addresses) as client:
            for signer in signers:
                request = api.Registration(node_id=signer.node_id, role="Worker", public_key_ref=signer.did)
                await client.call(api.REGISTER_NODE, request)
        numbers = {signer.node_id: 1 for signer in signers}
        bot = stand.port_of(Service.OPENCLAWDBOT)
        for _ in range(rounds):
            plain.append(await asyncio.to_thread(bare, seconds))
            ready = await ordered(api.HEARTBEAT.path, signers, numbers)
            ours.append(await rate(bot, ready, seconds))
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
    """Measure five rounds of two seconds each."""
    return uvloop.run(measure(2.0, 5))
