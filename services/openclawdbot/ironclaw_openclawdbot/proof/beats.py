"""Judge a group of heartbeats together: what they see, and what they change. Pure.

Each is judged as if it were alone, after those before it: a node's own keep their order.
"""

from datetime import datetime

import msgspec
from msgspec import Struct

from ironclaw_contracts.poi.messages import Heartbeat, McpRequest
from ironclaw_contracts.poi.receipts import Receipt, ack_id_for
from ironclaw_openclawdbot.proof.entries import Entry, LastBeat
from ironclaw_openclawdbot.proof.rules import Node, Verdict, Version, judge_heartbeat, refuse_reused_request

KeyOfNode = tuple[str, str]
"""A node's id and the version of its key."""


class Beat(Struct, frozen=True):
    """A heartbeat with what is known of it before its node is looked at.

    `signature_fault` is why its signature does not hold for the key that it names; `signed_digest` and
    `digest` are of what was signed and of the whole message. `acceptance` is the receipt if it is accepted
    without a note, as nearly all are; none where the signature is at fault.
    """

    message: Heartbeat
    at: datetime
    signature_fault: str | None
    signed_digest: str
    digest: str
    validator_id: str
    ack_id: str
    acceptance: Receipt | None

    @property
    def key(self) -> KeyOfNode:
        """The key by which its numbers are counted."""
        return self.message.node_id, self.message.signature.key_version

    @property
    def refusal_id(self) -> str:
        """The id of its ACK when it is refused."""
        return ack_id_for(self.validator_id, self.signed_digest, refused=self.digest)


class NewBeat(Struct, frozen=True):
    """What becomes the newest heartbeat of a key, after the one with the number `seen`, if there was one."""

    last: LastBeat
    status: str
    at: datetime
    seen: int | None


class ReceiptsNeeded(Exception):
    """One of a group's heartbeats may have been answered before, and what it was given has no receipts."""


class BeatState:
    """What a group sees: nodes, newest heartbeats, intents, and request ids in use.

    `requests` has the digests of the messages, not refused, for which a caller used a request id of late.
    `receipts` are those stored for the group's heartbeats, by ACK; None while nobody has looked.
    """

    def __init__(
        self,
        nodes: dict[str, Node],
        last: dict[KeyOfNode, LastBeat],
        intents: dict[str, list[Version]],
        requests: dict[tuple[str, str], set[str]],
    ) -> None:
        self.nodes, self.last, self.intents, self.requests = nodes, last, intents, requests
        self.receipts: dict[str, Receipt] | None = None
        self._made: dict[str, Receipt] = {}
        self.new_beats: dict[KeyOfNode, NewBeat] = {}
        self.entries: list[Entry] = []

    def judge(self, beat: Beat) -> Verdict:
        """Return what is to be said of a heartbeat."""
        message, last = beat.message, self.last.get(beat.key)
        verdict = judge_heartbeat(
            message,
            beat.signature_fault,
            self.nodes.get(message.node_id),
            last.seq_no if last is not None else None,
            last is not None and last.digest == beat.signed_digest,
            self.intents,
            beat.at,
        )
        if verdict.repeated:
            return verdict
        used = self.requests.get(_request_of(message), set())
        return refuse_reused_request(verdict) if used - {beat.digest} else verdict

    def repeated(self, beat: Beat) -> Receipt:
        """Return the receipt of a heartbeat that came before, as the answer to this call."""
        ack_id = self.last[beat.key].ack_id
        stored = self._known(ack_id)
        if stored is None:
            raise LookupError(f"the receipt {ack_id} is not there")
        return answer_to(beat.message.request, stored)

    def keep(self, beat: Beat, verdict: Verdict, made: Receipt) -> Receipt:
        """Keep a heartbeat with its receipt; of one that was answered before, return the stored receipt."""
        message, ack = beat.message, made.ack
        if verdict.is_live:
            before, newer = self.last.get(beat.key), self.new_beats.get(beat.key)
            seen = newer.seen if newer is not None else (before.seq_no if before is not None else None)
            last = LastBeat(message.seq_no, beat.signed_digest, ack.ack_id)
            self.last[beat.key] = last
            self.new_beats[beat.key] = NewBeat(last, message.status, beat.at, seen)
        # What moves its node on was not answered before, or its ACK's place in the audit is taken already.
        known = (
            self._made.get(ack.ack_id)
            if verdict.is_live and self.receipts is None
            else self._known(ack.ack_id)
        )
        if known is not None:
            return known
        self._made[ack.ack_id] = made
        if ack.status != "rejected":
            self.requests.setdefault(_request_of(message), set()).add(beat.digest)
        self.entries.append(
            Entry(
                ack.ack_id,
                "heartbeat",
                ack.node_id,
                None,
                ack.status,
                beat.at,
                message.raw,
                made,
                beat.digest,
            )
        )
        return made

    def _known(self, ack_id: str) -> Receipt | None:
        made = self._made.get(ack_id)
        if made is not None:
            return made
        if self.receipts is None:
            raise ReceiptsNeeded
        return self.receipts.get(ack_id)


def answer_to(request: McpRequest, stored: Receipt) -> Receipt:
    """Return a stored ACK under the request's own id: signed bytes may be repeated in a new call."""
    answer = msgspec.structs.replace(stored.mcp_response, request_id=request.request_id)
    return msgspec.structs.replace(stored, mcp_response=answer)


def _request_of(message: Heartbeat) -> tuple[str, str]:
    return message.request.caller.agent_id, message.request.request_id
