"""The validator: judge a message alone with its subject, answer with a signed receipt, keep both verbatim."""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.endpoints import openclawdbot_proof as api
from ironclaw_contracts.errors import BadRequest, Conflict, NotFound
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.poi.did import BadKey, public_key_of, validator_id_of
from ironclaw_contracts.poi.messages import Announcement, BadMessage, parse, read_announcement
from ironclaw_contracts.poi.receipts import Ack, Receipt, ack_id_for, ack_id_of, receipt
from ironclaw_openclawdbot.proof.beats import answer_to
from ironclaw_openclawdbot.proof.entries import Entry
from ironclaw_openclawdbot.proof.hearing import Hearing
from ironclaw_openclawdbot.proof.rules import (
    REPUTATION_START,
    REQUEST_ID_LIFE,
    NodeKey,
    Outcome,
    Verdict,
    Version,
    judge_announcement,
    moved,
    refuse_reused_request,
)
from ironclaw_openclawdbot.proof.store import BeatStore, ProofStore, ProofTransaction


class Validator:
    """Answers announcements and heartbeats under its own key."""

    def __init__(self, key: Ed25519PrivateKey, store: ProofStore) -> None:
        self._key = key
        self._store = store
        self.validator_id = validator_id_of(key.public_key().public_bytes_raw())
        self._hearing = Hearing(key, self.validator_id, BeatStore(store.pool))

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Answer heartbeats for as long as the context is open."""
        async with self._hearing.running():
            yield

    async def announce(self, raw: bytes) -> Receipt:
        """Answer an announced intent. Raises `BadRequest` naming the field of a malformed one."""
        try:
            message = read_announcement(parse(raw))
        except BadMessage as error:
            raise BadRequest(str(error)) from error
        now = datetime.now(UTC)
        async with self._store.judging(f"intent:{message.intent_id}") as transaction:
            node = await transaction.node(message.node_id)
            stored = await transaction.versions(message.intent_id)
            verdict = judge_announcement(message, node, stored, now)
            if verdict.repeated:
                ack_id = await transaction.ack_of(message.intent_id, message.version)
                return await _stored(transaction, ack_id, message)
            verdict = await _checked_request(transaction, message, verdict, now)
            refused = _digest(message.raw) if verdict.status == "rejected" else ""
            ack_id = ack_id_for(self.validator_id, message.hash, refused=refused)
            made = self._receipt(message, ack_id, verdict, now)
            if verdict.status != "rejected":
                version = Version(message.version, message.hash, verdict.status, message.node_id)
                campaign: str = message.intent["campaign_ref"]
                await transaction.put_version(message.intent_id, version, made.ack.ack_id, campaign)
            if verdict.outcome is not None:
                # By the signed bytes, not by the message: a stranger may repeat them in new envelopes.
                await _move(transaction, message.node_id, verdict.outcome, f"announce:{message.hash}")
            return await _kept(transaction, "announce", message.intent_id, message, made, now)

    async def heartbeat(self, raw: bytes) -> Receipt:
        """Answer a heartbeat. Raises `BadRequest` naming the field of a malformed one."""
        return await self._hearing.hear(raw)

    async def decide(self, ack_id: str, decision: Literal["accepted", "rejected"], by: str) -> Receipt:
        """Answer what waits for a person; the ACK is issued anew. Raises `NotFound` or `Conflict`."""
        now = datetime.now(UTC)
        async with self._store.judging(f"review:{ack_id}") as transaction:
            entry = await transaction.entry(ack_id)
            if entry is None:
                raise NotFound(f"there is no ACK {ack_id!r}")
            if entry.status != "needs_review":
                raise Conflict(f"ACK {ack_id} is {entry.status}; there is nothing to decide")
            signed = entry.message["intent" if entry.kind == "announce" else "heartbeat"]
            ack = Ack(
                ack_id_of(self.validator_id, signed, issue=1),
                entry.intent_id,
                entry.node_id,
                format_instant(now),
                decision,
                [*entry.receipt.ack.validation_notes, f"{decision} by {by}"],
            )
            made = receipt(self._key, self.validator_id, entry.receipt.mcp_response.request_id, ack, now)
            if entry.kind == "announce" and entry.intent_id is not None:
                message = read_announcement(entry.message)
                version = Version(message.version, message.hash, decision, entry.node_id)
                await transaction.put_version(
                    entry.intent_id, version, made.ack.ack_id, message.intent["campaign_ref"]
                )
            await transaction.supersede(ack_id)
            await transaction.write(
                Entry(
                    ack.ack_id,
                    entry.kind,
                    entry.node_id,
                    entry.intent_id,
                    decision,
                    now,
                    entry.message,
                    made,
                    entry.digest,
                )
            )
            return made

    async def run_ended(self, campaign_ref: str, outcome: Literal["completed", "failed"], cause: str) -> None:
        """Move the reputation of the garrison's planners of a run that ended; once for each cause."""
        for node_id in await self._store.planners_of(campaign_ref):
            async with self._store.judging(f"campaign:{campaign_ref}") as transaction:
                await _move(transaction, node_id, outcome, f"{cause}:{node_id}")

    async def register(self, request: api.Registration, *, ours: bool = False) -> None:
        """Register a node, or one more key of it; `ours` are those that the garrison depends on.

        Raises `BadRequest` for a key that may not be trusted, `Conflict` for another role or key.
        """
        try:
            public_key_of(request.public_key_ref)
        except BadKey as error:
            raise BadRequest(f"public_key_ref: {error}") from error
        async with self._store.judging(f"node:{request.node_id}") as transaction:
            node = await transaction.node(request.node_id)
            if node is not None and node.role != request.role:
                raise Conflict(f"node {request.node_id} is registered as {node.role}")
            known = next((k for k in node.keys if k.version == request.key_version), None) if node else None
            if known is not None and known.public_key_ref != request.public_key_ref:
                raise Conflict(f"key {request.key_version} of node {request.node_id} is another one")
            key = NodeKey(request.key_version, request.public_key_ref)
            await transaction.register(
                request.node_id, request.role, request.label, REPUTATION_START, key, ours=ours
            )

    async def retire(self, node_id: str, version: str) -> None:
        """Retire a node's key from now on. Raises `NotFound`."""
        async with self._store.judging(f"node:{node_id}") as transaction:
            if not await transaction.retire(node_id, version, datetime.now(UTC)):
                raise NotFound(f"there is no key {version!r} of node {node_id!r}")

    def _receipt(self, message: Announcement, ack_id: str, verdict: Verdict, now: datetime) -> Receipt:
        ack = Ack(
            ack_id,
            message.intent_id,
            message.node_id,
            format_instant(now),
            verdict.status,
            verdict.notes,
        )
        return receipt(self._key, self.validator_id, message.request.request_id, ack, now)


def _digest(message: dict[str, Any]) -> str:
    return hashlib.sha256(jcs(message)).hexdigest()


async def _checked_request(
    transaction: ProofTransaction, message: Announcement, verdict: Verdict, now: datetime
) -> Verdict:
    """Refuse a request id that its caller has used for another message within a day."""
    request = message.request
    reused = await transaction.request_is_reused(
        request.caller.agent_id, request.request_id, _digest(message.raw), now - REQUEST_ID_LIFE
    )
    return refuse_reused_request(verdict) if reused else verdict


async def _move(transaction: ProofTransaction, node_id: str, outcome: Outcome, cause: str) -> None:
    """Move a node's reputation, alone with the node: two moves at once would lose one."""
    await transaction.hold(f"node:{node_id}")
    node = await transaction.node(node_id)
    if node is not None:
        await transaction.move_reputation(node_id, outcome, moved(node.reputation, outcome), cause)


async def _stored(transaction: ProofTransaction, ack_id: str, message: Announcement) -> Receipt:
    """Return the stored ACK under the request's own id: signed bytes may be repeated in a new call."""
    entry = await transaction.entry(ack_id)
    if entry is None:
        raise NotFound(f"the receipt {ack_id} is not there")
    return answer_to(message.request, entry.receipt)


async def _kept(
    transaction: ProofTransaction,
    kind: str,
    intent_id: str | None,
    message: Announcement,
    made: Receipt,
    now: datetime,
) -> Receipt:
    """Audit the message and return its receipt; of one that was answered before, the stored receipt."""
    known = await transaction.entry(made.ack.ack_id)
    if known is not None:
        return known.receipt
    ack, digest = made.ack, _digest(message.raw)
    await transaction.write(
        Entry(ack.ack_id, kind, ack.node_id, intent_id, ack.status, now, message.raw, made, digest)
    )
    return made
