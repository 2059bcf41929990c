"""What the validator shows: nodes and their liveness, intents, reviews, and its own key."""

from datetime import UTC, datetime, timedelta

from ironclaw_contracts.endpoints import openclawdbot_proof as api
from ironclaw_contracts.errors import NotFound
from ironclaw_openclawdbot.proof.store import Entry, ProofStore, Standing

TTL_BEATS = 3
_CHANGES_MAX = 500


def liveness(standing: Standing, now: datetime, heartbeat_seconds: float) -> str:
    """Return a node's status: its own word, or `unknown` once three heartbeats are missing. Pure.

    After its TTL no word counts, not even `offline` (contract: Heartbeats).
    """
    if standing.heard_at is None or standing.status is None:
        return "unknown"
    late = now > standing.heard_at + timedelta(seconds=TTL_BEATS * heartbeat_seconds)
    return "unknown" if late else standing.status


def view_of(standing: Standing, now: datetime, heartbeat_seconds: float) -> api.NodeView:
    """Return a node as readers see it now."""
    return api.NodeView(
        node_id=standing.node_id,
        role=standing.role,
        label=standing.label,
        reputation=round(standing.reputation, 6),
        status=liveness(standing, now, heartbeat_seconds),
        seq_no=standing.seq_no,
        heard_at=standing.heard_at,
    )


class ProofShowing:
    """Answers readers."""

    def __init__(self, store: ProofStore, heartbeat_seconds: float) -> None:
        self._store = store
        self._heartbeat_seconds = heartbeat_seconds

    async def nodes(self) -> api.Nodes:
        """Return every node with its status now."""
        now = datetime.now(UTC)
        return api.Nodes(nodes=[view_of(s, now, self._heartbeat_seconds) for s in await self._store.nodes()])

    async def intent(self, intent_id: str) -> api.IntentView:
        """Return all that was said of an intent. Raises `NotFound`."""
        entries = await self._store.of_intent(intent_id)
        if not entries:
            raise NotFound(f"there is no intent {intent_id!r}")
        return api.IntentView(intent_id=intent_id, messages=[_view(entry) for entry in entries])

    async def reputation(self, node_id: str) -> api.ReputationView:
        """Return how a node's reputation moved, newest first."""
        changes = await self._store.reputation_changes(node_id, _CHANGES_MAX)
        return api.ReputationView(
            changes=[
                api.ReputationChange(c.at, c.outcome, round(c.before, 6), round(c.after, 6), c.cause)
                for c in changes
            ]
        )

    async def campaign(self, campaign_id: str) -> api.Audited:
        """Return every intent that was announced for a campaign, oldest first."""
        return api.Audited(messages=[_view(entry) for entry in await self._store.of_campaign(campaign_id)])

    async def reviews(self) -> api.Audited:
        """Return what waits for a person."""
        return api.Audited(messages=[_view(entry) for entry in await self._store.reviews()])

    async def audit(self, query: api.AuditQuery) -> api.AuditPage:
        """Return stored messages and the nodes' keys, for checking them again elsewhere."""
        entries = await self._store.after(query.after, query.limit)
        keys = await self._store.keys()
        return api.AuditPage(
            messages=[_view(entry) for entry in entries],
            keys=[
                api.KeyView(node_id, key.version, key.public_key_ref, key.retired_at)
                for node_id, owned in keys.items()
                for key in owned
            ],
            next_after=entries[-1].ack_id if len(entries) == query.limit else None,
        )


def _view(entry: Entry) -> api.AuditedMessage:
    return api.AuditedMessage(
        kind=entry.kind,
        node_id=entry.node_id,
        intent_id=entry.intent_id,
        at=entry.at,
        message=entry.message,
        receipt=entry.receipt,
    )
