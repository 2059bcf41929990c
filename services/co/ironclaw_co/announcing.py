"""Announce the intent of every plan, and link its ACK in the run."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.node.beating import ServiceNode
from ironclaw_co.intents import compose_intent, intent_id_of, is_announced, is_first, link_to
from ironclaw_contracts.derived import run_event
from ironclaw_contracts.endpoints import duty_officer_relay as relay
from ironclaw_contracts.enums import RunStatus
from ironclaw_contracts.errors import EventConflict, NotFound
from ironclaw_contracts.events import EventType
from ironclaw_contracts.payloads import RunUpdated
from ironclaw_contracts.poi.envelopes import ActiveIntentRef
from ironclaw_contracts.snapshots import RunSnapshot

log = structlog.get_logger()


class Announcing:
    """Safe to stop anywhere: the relay knows which version it holds, the run which one it links."""

    def __init__(self, client: ServiceClient, ledger: LedgerClient, node: ServiceNode) -> None:
        self._client = client
        self._ledger = ledger
        self._node = node
        self._planned: dict[str, RunSnapshot] = {}
        self._waiting: set[str] = set()
        self._active: dict[str, ActiveIntentRef] = {}

    def planned(self, run: RunSnapshot) -> None:
        """Take note of a run whose plan is to be announced: the next look at it need not ask the ledger."""
        self._planned[run.run_id] = run

    async def announce(self, run_id: str) -> None:
        """Announce the run's present plan unless that is done; link the intent, and its ACK when it came."""
        run = self._planned.pop(run_id, None) or (await self._ledger.run(run_id)).run
        if not is_announced(run):
            self._waiting.add(run_id)
            run = await self._link(run, await self._held(run))
        if is_announced(run):
            self._waiting.discard(run_id)
        self._keep_active(run)

    async def waiting(self) -> AsyncIterator[str]:
        """Yield the runs whose ACK is still to come, ended ones too."""
        for run_id in sorted(self._waiting):
            yield run_id

    def active(self) -> list[ActiveIntentRef]:
        """Return the accepted intents of open runs."""
        return list(self._active.values())

    def ended(self, run_id: str) -> None:
        """A run has ended: the node does not work for its intent any more."""
        self._active.pop(run_id, None)

    async def _held(self, run: RunSnapshot) -> relay.RelayedIntent:
        """Return the intent of the present plan as the relay holds it, handed in if it is not."""
        held = None if is_first(run) else await self._newest(run)
        if held is not None and run.plan is not None and held.plan_version == run.plan.version:
            return held
        now = datetime.now(UTC)
        intent = compose_intent(run, (await self._node.signer()).node_id, held, now)
        message = await self._node.announcement(intent, now)
        return await self._client.call(relay.RELAY_INTENT, relay.Relayed(message))

    async def _newest(self, run: RunSnapshot) -> relay.RelayedIntent | None:
        try:
            return await self._client.call(relay.GET_RELAYED_INTENT, intent_id=intent_id_of(run.run_id))
        except NotFound:
            return None

    async def _link(self, run: RunSnapshot, held: relay.RelayedIntent) -> RunSnapshot:
        link = link_to(held)
        if link == run.intent:
            return run
        ordinals = ("intent", link.intent_version, link.ack_id or "sent")
        try:
            await self._ledger.append(
                run_event(EventType.RUN_UPDATED, RunUpdated(intent=link), run, *ordinals)
            )
        except EventConflict:
            log.info("linked already", run_id=run.run_id, intent_id=link.intent_id)
        return msgspec.structs.replace(run, intent=link)

    def _keep_active(self, run: RunSnapshot) -> None:
        link = run.intent
        if link is None or link.ack_status != "accepted" or run.status is not RunStatus.OPEN:
            self._active.pop(run.run_id, None)
            return
        self._active[run.run_id] = ActiveIntentRef(link.intent_id, link.intent_hash, link.intent_version)
