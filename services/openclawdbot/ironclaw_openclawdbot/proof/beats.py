"""Judge a group of heartbeats together: what they see, and what they change. Pure.

Each is judged as if it were alone, after those before it: a node's own keep their order.
"""

from datetime import datetime

import msgspec
from msgspec import Struct

from ironclaw_contracts.poi.messages import Heartbeat, McpRequest
from ironclaw_contracts.poi.receipts import Receipt
from ironclaw_openclawdbot.proof.entries import Entry, LastBeat
from ironclaw_openclawdbot.proof.rules import Node, Verdict, Version, judge_heartbeat, refuse_reused_request

KeyOfNode = tuple[str, str]
"""A node's id and the version of its key."""


class Beat(Struct, frozen=True):
    """A heartbeat with the digests of what was signed and of the whole message.

    Its ACK has the one id or, when it is refused, the other.
    """

    message: Heartbeat
    signed_digest: str
    digest: str
    ack_id: str
    refusal_id: str

    @property
    def key(self) -> KeyOfNode:
        """The key by which its numbers are counted."""
        return self.message.node_id, self.message.signature.key_version


class NewBeat(Struct, frozen=True):
    """What becomes the newest heartbeat of a key."""

    last: LastBeat
    status: str
    at: datetime


class BeatState:
    """What a group sees: nodes, newest heartbeats, intents, receipts by ACK, and request ids in use.

    `requests` has the digests of the messages, not refused, for which a caller used a request id of late.
    """

    def __init__(
        self,
        nodes: dict[str, Node],
        last: dict[KeyOfNode, LastBeat],
        intents: dict[str, list[Version]],
        receipts: dict[str, Receipt],
        requests: dict[tuple[str, str], set[str]],
    ) -> None:
        self.nodes, self.last, self.intents = nodes, last, intents
        self.receipts, self.requests = receipts, requests
        self.new_beats: dict[KeyOfNode, NewBeat] = {}
        self.entries: list[Entry] = []

    def judge(self, beat: Beat, now: datetime) -> Verdict:
        """Return what is to be said of a heartbeat."""
        message, last = beat.message, self.last.get(beat.key)
        verdict = judge_heartbeat(
            message,
            self.nodes.get(message.node_id),
            last.seq_no if last is not None else None,
            last is not None and last.digest == beat.signed_digest,
            self.intents,
            now,
        )
        if verdict.repeated:
            return verdict
        used = self.requests.get(_request_of(message), set())
        return refuse_reused_request(verdict) if used - {beat.digest} else verdict

    def repeated(self, beat: Beat) -> Receipt:
        """Return the receipt of a heartbeat that came before, as the answer to this call."""
        return answer_to(beat.message.request, self.receipts[self.last[beat.key].ack_id])

    def keep(self, beat: Beat, verdict: Verdict, made: Receipt, now: datetime) -> Receipt:
        """Keep a heartbeat with its receipt; of one that was answered before, return the stored receipt."""
        message, ack = beat.message, made.ack
        if verdict.is_live:
            last = LastBeat(message.seq_no, beat.signed_digest, ack.ack_id)
            self.last[beat.key] = last
            self.new_beats[beat.key] = NewBeat(last, message.status, now)
        known = self.receipts.get(ack.ack_id)
        if known is not None:
            return known
        self.receipts[ack.ack_id] = made
        if ack.status != "rejected":
            self.requests.setdefault(_request_of(message), set()).add(beat.digest)
        self.entries.append(
            Entry(
                ack.ack_id,
                "heartbeat",
                ack.node_id,
                None,
                ack.status,
                now,
                message.raw,
                made,
                beat.digest,
            )
        )
        return made


def answer_to(request: McpRequest, stored: Receipt) -> Receipt:
    """Return a stored ACK under the request's own id: signed bytes may be repeated in a new call."""
    answer = msgspec.structs.replace(stored.mcp_response, request_id=request.request_id)
    return msgspec.structs.replace(stored, mcp_response=answer)


def _request_of(message: Heartbeat) -> tuple[str, str]:
    return message.request.caller.agent_id, message.request.request_id
