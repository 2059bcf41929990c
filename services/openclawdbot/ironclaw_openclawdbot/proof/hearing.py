"""Answer heartbeats: each is verified as it comes, verdicts fall in groups that are stored together.

What needs nothing of the database is done before a heartbeat joins its group, its usual receipt among it: the
database is busy with the group before meanwhile.
"""

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.errors import BadRequest, Internal, Problem
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.poi.messages import BadMessage, Heartbeat, parse, read_heartbeat
from ironclaw_contracts.poi.receipts import Ack, Receipt, ack_id_for, receipt
from ironclaw_contracts.poi.signatures import fault_over
from ironclaw_openclawdbot.gathering import Gathering
from ironclaw_openclawdbot.proof.beats import Beat, BeatState, ReceiptsNeeded
from ironclaw_openclawdbot.proof.rules import REQUEST_ID_LIFE, Verdict
from ironclaw_openclawdbot.proof.store import BeatStore

log = structlog.get_logger()

_ACCEPTED = Verdict("accepted", [])


class Hearing:
    """Answers heartbeats under the validator's key."""

    def __init__(self, key: Ed25519PrivateKey, validator_id: str, store: BeatStore) -> None:
        self._key = key
        self._validator_id = validator_id
        self._store = store
        self._judging = Gathering[Beat, Receipt | Problem](self._judge)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Answer for as long as the context is open."""
        async with self._judging.running():
            yield

    async def hear(self, raw: bytes) -> Receipt:
        """Answer a heartbeat. Raises `BadRequest` naming the field of a malformed one."""
        try:
            message = read_heartbeat(parse(raw))
        except BadMessage as error:
            raise BadRequest(str(error)) from error
        made = await self._judging.put(self._beat(message, datetime.now(UTC)))
        if isinstance(made, Problem):
            raise made
        return made

    def _beat(self, message: Heartbeat, now: datetime) -> Beat:
        signed = hashlib.sha256(message.canonical).hexdigest()
        whole = hashlib.sha256(jcs(message.raw)).hexdigest()
        ack_id = ack_id_for(self._validator_id, signed)
        fault = fault_over(message.signature, message.canonical)
        acceptance = self._receipt(message, ack_id, _ACCEPTED, now) if fault is None else None
        return Beat(message, now, fault, signed, whole, self._validator_id, ack_id, acceptance)

    async def _judge(self, beats: list[Beat]) -> list[Receipt | Problem]:
        """Answer a group, stored together."""
        since = datetime.now(UTC) - REQUEST_ID_LIFE
        return await self._store.judged(
            beats, since, lambda state: [self._judge_one(state, beat) for beat in beats]
        )

    def _judge_one(self, state: BeatState, beat: Beat) -> Receipt | Problem:
        try:
            verdict = state.judge(beat)
            if verdict.repeated:
                return state.repeated(beat)
            return state.keep(beat, verdict, self._answer(beat, verdict))
        except ReceiptsNeeded:
            raise
        except Exception as error:
            # A heartbeat that we fail to judge changed nothing, so the others of its group go on.
            log.error("a heartbeat could not be judged", exc_info=error)
            return Internal("the heartbeat could not be judged on our side; the log has it")

    def _answer(self, beat: Beat, verdict: Verdict) -> Receipt:
        if beat.acceptance is not None and verdict.status == "accepted" and not verdict.notes:
            return beat.acceptance
        ack_id = beat.refusal_id if verdict.status == "rejected" else beat.ack_id
        return self._receipt(beat.message, ack_id, verdict, beat.at)

    def _receipt(self, message: Heartbeat, ack_id: str, verdict: Verdict, now: datetime) -> Receipt:
        ack = Ack(ack_id, None, message.node_id, format_instant(now), verdict.status, verdict.notes)
        return receipt(self._key, self._validator_id, message.request.request_id, ack, now)
