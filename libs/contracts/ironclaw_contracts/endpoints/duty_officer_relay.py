"""The garrison's relay to its OpenClaw validator: services hand in what they signed, and get the ACKs."""

from typing import Any

from msgspec import Struct

from ironclaw_contracts.endpoint import KIB, Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.poi.receipts import Receipt


class Relayed(Struct, frozen=True):
    """A signed envelope, as the validator is to get it."""

    message: dict[str, Any]


class RelayedAck(Struct, frozen=True):
    """The ACK of a heartbeat; None while the validator has not answered."""

    receipt: Receipt | None


class RelayedIntent(Struct, frozen=True, kw_only=True):
    """The newest version of an intent that the relay holds; `receipt` is None until it is acknowledged."""

    intent_id: str
    version: int
    intent_hash: str
    plan_version: int | None
    receipt: Receipt | None


class RelayView(Struct, frozen=True):
    """How the relay stands with its validator. `fault` is why nothing passes now."""

    connected: bool
    validator_id: str | None
    fault: str | None
    intents_waiting: int
    heartbeats_waiting: int


RELAY_HEARTBEAT = Endpoint(
    service=Service.DUTY_OFFICER,
    name="relay_heartbeat",
    method="POST",
    path="/openclaw/heartbeats",
    summary="Hand in a signed heartbeat; the answer is its ACK, when one comes in time.",
    body=Relayed,
    query=Nothing,
    answer=RelayedAck,
    body_bytes_max=256 * KIB,
)
RELAY_INTENT = Endpoint(
    service=Service.DUTY_OFFICER,
    name="relay_intent",
    method="POST",
    path="/openclaw/intents",
    summary="Hand in a signed intent; it is kept until the validator has answered.",
    body=Relayed,
    query=Nothing,
    answer=RelayedIntent,
    body_bytes_max=256 * KIB,
)
GET_RELAYED_INTENT = Endpoint(
    service=Service.DUTY_OFFICER,
    name="get_relayed_intent",
    method="GET",
    path="/openclaw/intents/{intent_id}",
    summary="The newest version of an intent that was handed in.",
    body=Nothing,
    query=Nothing,
    answer=RelayedIntent,
)
GET_RELAY = Endpoint(
    service=Service.DUTY_OFFICER,
    name="get_relay",
    method="GET",
    path="/openclaw/relay",
    summary="How the relay stands with its validator.",
    body=Nothing,
    query=Nothing,
    answer=RelayView,
)
ENDPOINTS = (RELAY_HEARTBEAT, RELAY_INTENT, GET_RELAYED_INTENT, GET_RELAY)
