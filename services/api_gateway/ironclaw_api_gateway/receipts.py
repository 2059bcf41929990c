"""Mission receipts: gather what proves a run from whoever keeps it. Nothing in it is the gateway's word."""

import asyncio
from collections.abc import Iterator

import msgspec

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.artifacts import AAR_FILE, TRANSCRIPT_FILE
from ironclaw_contracts.canonical import jcs
from ironclaw_contracts.endpoints import ledger, ledger_proof, vault_proof
from ironclaw_contracts.endpoints import openclawdbot_proof as proof
from ironclaw_contracts.poi.messages import read_announcement
from ironclaw_contracts.receipts import GitObject, ProvenIntent, encode
from ironclaw_contracts.snapshots import OrderSnapshot, RunView

_COMMITS_AT_ONCE = 100
_PROVEN_FILES = [AAR_FILE, TRANSCRIPT_FILE]


class Receipts:
    """Issues receipts."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def issue(self, run_id: str) -> bytes:
        """Return a run's receipt as of now.

        Raises `NotFound`, or `Unavailable` when one of those who keep the evidence is away: a receipt that
        leaves something out would prove less than it seems to.
        """
        view, campaign = await asyncio.gather(
            self._client.call(ledger.GET_RUN, run_id=run_id),
            self._client.call(proof.LIST_CAMPAIGN, campaign_id=run_id),
        )
        objects = await self._objects(view)
        slice_ = await self._client.call(ledger_proof.READ_SLICE, run_id=run_id)
        intents = [_proven(message) for message in campaign.messages]
        return await asyncio.to_thread(
            lambda: encode([slice_.statement, *slice_.events, slice_.inclusion, *objects, *intents])
        )

    async def _objects(self, view: RunView) -> list[GitObject]:
        wanted = [commit for order in view.orders for commit in _commits(order)]
        found: dict[str, GitObject] = {}
        for first in range(0, len(wanted), _COMMITS_AT_ONCE):
            request = vault_proof.ObjectsRequest(wanted[first : first + _COMMITS_AT_ONCE])
            answer = await self._client.call(
                vault_proof.READ_OBJECTS, request, theater_id=view.run.theater_id
            )
            found |= {kept.id: kept for kept in answer.objects}
        return list(found.values())


def _commits(order: OrderSnapshot) -> Iterator[vault_proof.CommitPaths]:
    """Yield what is to be proven of an order that was merged: the unit's commit and the merge."""
    if order.merge_commit is None or order.commit_sha is None:
        return
    paths = [artifact.path for artifact in order.artifacts]
    yield vault_proof.CommitPaths(order.commit_sha, paths, _PROVEN_FILES)
    yield vault_proof.CommitPaths(order.merge_commit, paths)


def _proven(message: proof.AuditedMessage) -> ProvenIntent:
    """Return a stored announcement as the texts that were signed."""
    said = read_announcement(message.message)
    receipt = message.receipt
    return ProvenIntent(
        intent=jcs(said.intent).decode(),
        public_key_ref=said.signature.public_key_ref,
        signature=said.signature.signature_blob,
        ack=jcs(msgspec.to_builtins(receipt.ack)).decode(),
        validator_id=receipt.validator_signature.validator_id,
        ack_signature=receipt.validator_signature.signature_blob,
    )
