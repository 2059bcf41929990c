"""A node of the tests' own: it signs, announces and beats as the contract says."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_contracts.endpoints import openclawdbot
from ironclaw_contracts.enums import Service
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.poi.did import did_of
from ironclaw_contracts.poi.receipts import Receipt
from ironclaw_contracts.poi.signatures import sign
from tests.support.fleet import FleetUnderTest


class Node:
    """A node with a key, that announces and beats."""

    def __init__(self, fleet: FleetUnderTest, session: aiohttp.ClientSession, role: str = "Planner") -> None:
        self.node_id, self.role = str(uuid.uuid4()), role
        self.key = Ed25519PrivateKey.generate()
        self.version = "v1"
        self.seq = 0
        self._session = session
        self._url = f"http://127.0.0.1:{fleet.port_of(Service.OPENCLAWDBOT)}"

    @property
    def did(self) -> str:
        return did_of(self.key.public_key().public_bytes_raw())

    def signed(self, value: dict[str, Any]) -> dict[str, str]:
        return {
            "algorithm": "ed25519",
            "public_key_ref": self.did,
            "signature_blob": sign(self.key, value),
            "key_version": self.version,
        }

    def request(self) -> dict[str, Any]:
        caller = {"agent_id": self.node_id, "role": self.role}
        return {
            "request_id": str(uuid.uuid4()),
            "timestamp": format_instant(datetime.now(UTC)),
            "caller": caller,
        }

    def intent(self, **changes: Any) -> dict[str, Any]:
        now = format_instant(datetime.now(UTC))
        return {
            "intent_id": str(uuid.uuid4()),
            "intent_version": 1,
            "node_id": self.node_id,
            "campaign_ref": "run",
            "action": "run.plan",
            "objective": "Summarize — “all” ✅",
            "created_at": now,
            "parameters": {"orders": ["a"], "weights": [1.0, 1e21]},
        } | changes

    def announcement(self, intent: dict[str, Any]) -> dict[str, Any]:
        self.seq += 1
        message = {
            "mcp_request": self.request(),
            "intent": intent,
            "intent_signature": self.signed(intent),
            "seq_no": self.seq,
            "timestamp": format_instant(datetime.now(UTC)),
            "policy_version": "v1",
        }
        return message | {"envelope_signature": self.signed(message)}

    def beat(self, seq: int, **changes: Any) -> dict[str, Any]:
        heartbeat = {
            "node_id": self.node_id,
            "role": self.role,
            "status": "online",
            "seq_no": seq,
            "timestamp": format_instant(datetime.now(UTC)),
            "uptime_seconds": 5,
            "load": {"cpu": 0.1, "mem": 0.2, "pending_jobs": 0},
            "active_intents": [],
            "policy_version": "v1",
        } | changes
        return {"mcp_request": self.request(), "heartbeat": heartbeat, "signature": self.signed(heartbeat)}

    async def post(self, path: str, message: dict[str, Any] | bytes) -> tuple[int, bytes]:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        async with self._session.post(self._url + path, data=body) as response:
            return response.status, await response.read()

    async def announce(self, message: dict[str, Any]) -> Receipt:
        status, body = await self.post(openclawdbot.ANNOUNCE.path, message)
        assert status == 200, body
        return msgspec.json.decode(body, type=Receipt)

    async def send(self, message: dict[str, Any]) -> Receipt:
        status, body = await self.post(openclawdbot.HEARTBEAT.path, message)
        assert status == 200, body
        return msgspec.json.decode(body, type=Receipt)


async def registered(fleet: FleetUnderTest, session: aiohttp.ClientSession, role: str = "Planner") -> Node:
    node = Node(fleet, session, role)
    fleet.cli("openclaw", "register", node.node_id, role, node.did, "--key-version", "v1", "--label", "test")
    return node
