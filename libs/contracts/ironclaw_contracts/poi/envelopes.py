"""Compose and sign the documented envelopes. Pure: ids, times and keys come in."""

from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from ironclaw_contracts.enums import Service
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.poi.did import did_of
from ironclaw_contracts.poi.messages import NodeRole
from ironclaw_contracts.poi.signatures import ALGORITHM, sign

POLICY_VERSION = "v1"
ROLE_OF: dict[Service, NodeRole] = {
    Service.CO: "Planner",
    Service.WORKER: "Worker",
    Service.INTEGRATION: "Judge",
    Service.OBSERVER: "Judge",
    Service.SENTINEL: "Judge",
    Service.DUTY_OFFICER: "CFO",
    Service.LEARNING: "CFO",
    # The contract names no role for the rest of the fleet: they do work for others, and plan nothing.
    Service.API_GATEWAY: "Worker",
    Service.LEDGER: "Worker",
    Service.VAULT: "Worker",
    Service.OPENCLAWDBOT: "Worker",
}
"""Contract, intent envelope: the fleet's mapping of roles."""


class Signer(Struct, frozen=True):
    """A node that signs: who it is, and its current key."""

    node_id: str
    role: str
    key: Ed25519PrivateKey
    key_version: str

    @property
    def did(self) -> str:
        """The did:key of the current key."""
        return did_of(self.key.public_key().public_bytes_raw())

    def signature(self, value: dict[str, Any]) -> dict[str, Any]:
        """Return the documented signature over a value's canonical bytes."""
        return {
            "algorithm": ALGORITHM,
            "public_key_ref": self.did,
            "signature_blob": sign(self.key, value),
            "key_version": self.key_version,
        }

    def request(self, request_id: str, now: datetime) -> dict[str, Any]:
        """Return the envelope that makes a message traceable."""
        return {
            "request_id": request_id,
            "timestamp": format_instant(now),
            "caller": {"agent_id": self.node_id, "role": self.role},
        }


class Load(Struct, frozen=True):
    """How much a node has to do: shares of the machine in [0, 1], and jobs that wait or run."""

    cpu: float
    mem: float
    pending_jobs: int


class ActiveIntentRef(Struct, frozen=True):
    """An intent that the node works for."""

    intent_id: str
    intent_hash: str
    intent_version: int
    role: str = "Planner"


def heartbeat_message(
    signer: Signer,
    request_id: str,
    now: datetime,
    *,
    seq_no: int,
    status: str,
    uptime_seconds: float,
    load: Load,
    active_intents: list[ActiveIntentRef],
    metadata: dict[str, Any],
) -> dict[str, Any]:
    """Return a signed heartbeat; the signature covers `heartbeat` (seed: field notes)."""
    heartbeat: dict[str, Any] = {
        "node_id": signer.node_id,
        "role": signer.role,
        "status": status,
        "seq_no": seq_no,
        "timestamp": format_instant(now),
        "uptime_seconds": round(uptime_seconds, 3),
        "load": {"cpu": round(load.cpu, 4), "mem": round(load.mem, 4), "pending_jobs": load.pending_jobs},
        "active_intents": [
            {
                "intent_id": intent.intent_id,
                "intent_hash": intent.intent_hash,
                "intent_version": intent.intent_version,
                "role": intent.role,
            }
            for intent in active_intents
        ],
        "policy_version": POLICY_VERSION,
        "metadata": metadata,
    }
    return {
        "mcp_request": signer.request(request_id, now),
        "heartbeat": heartbeat,
        "signature": signer.signature(heartbeat),
    }


def announcement_message(
    signer: Signer, request_id: str, now: datetime, *, intent: dict[str, Any], seq_no: int
) -> dict[str, Any]:
    """Return a signed announcement; the second signature covers the metadata that the first does not."""
    envelope: dict[str, Any] = {
        "mcp_request": signer.request(request_id, now),
        "intent": intent,
        "intent_signature": signer.signature(intent),
        "seq_no": seq_no,
        "timestamp": format_instant(now),
        "policy_version": POLICY_VERSION,
    }
    return envelope | {"envelope_signature": signer.signature(envelope)}
