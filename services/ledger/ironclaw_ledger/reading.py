"""Answer questions about runs and orders."""

from datetime import UTC, datetime, timedelta

import msgspec

from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.endpoints.ledger_proof import Mainlines, MainlinesQuery
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.errors import BadRequest, LeaseLive, LeaseLost, NotFound
from ironclaw_contracts.events import EventType
from ironclaw_contracts.ids import Seq
from ironclaw_contracts.snapshots import Lead, Lease, OrderView, RunView
from ironclaw_contracts.why import Why
from ironclaw_ledger.past import Past, as_order_view
from ironclaw_ledger.store import Store
from ironclaw_ledger.why import why_order, why_run


class Reader:
    """Reads the store on behalf of callers."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._past = Past(store)

    async def events(self, query: api.EventsQuery) -> api.EventPage:
        """Return a page of events after a cursor."""
        types = split_types(query.types) or ([query.type.value] if query.type else None)
        events = await self._store.events(query, types)
        head, _ = await self._store.head()
        more = len(events) == query.limit
        return api.EventPage(events=events, next_after=events[-1].seq if more else None, head_seq=head)

    async def run(self, run_id: str, as_of: str | None = None) -> RunView:
        """Return a run with its orders, now or as of then. Raises `NotFound`."""
        if as_of is not None:
            return await self._past.run(run_id, await self._past.seq_of(as_of))
        view = await self._store.run(run_id)
        if view is None:
            raise NotFound(f"there is no run {run_id!r}")
        return view

    async def runs(self, query: api.RunsQuery) -> api.RunPage:
        """Return a page of runs."""
        if query.as_of is not None:
            return await self._past.runs(query, await self._past.seq_of(query.as_of))
        runs = await self._store.runs(query)
        page = runs[: query.limit]
        return api.RunPage(runs=page, next_cursor=page[-1].first_seq if len(runs) > query.limit else None)

    async def order(self, order_id: str, as_of: str | None = None) -> OrderView:
        """Return an order with its lease, or as of then. Raises `NotFound`."""
        if as_of is not None:
            return as_order_view(await self._past.order(order_id, await self._past.seq_of(as_of)))
        view = await self._store.order(order_id)
        if view is None:
            raise NotFound(f"there is no order {order_id!r}")
        return view

    async def orders(self, query: api.OrdersQuery) -> api.OrderPage:
        """Return a page of orders with their leases."""
        if query.as_of is not None:
            seq = await self._past.seq_of(query.as_of)
            return await self._past.orders(query, split_phases(query.phases), seq)
        views = await self._store.orders(query, split_phases(query.phases))
        page = views[: query.limit]
        more = len(views) > query.limit
        return api.OrderPage(
            orders=[view.order for view in page],
            leases=[view.lease for view in page if view.lease is not None],
            next_cursor=page[-1].order.first_seq if more else None,
        )

    async def renew(self, order_id: str, renewal: api.LeaseRenewal) -> Lease:
        """Prolong a lease. Raises `LeaseLost` when the attempt or the unit is no longer the holder."""
        expires_at = datetime.now(UTC) + timedelta(seconds=renewal.lease_seconds)
        lease = await self._store.renew(
            Lease(
                order_id,
                renewal.attempt,
                renewal.unit_id,
                expires_at,
                renewal.progressed_at,
                renewal.lease_seconds,
            )
        )
        if lease is None:
            raise LeaseLost(
                f"unit {renewal.unit_id} does not hold attempt {renewal.attempt} of order {order_id} any more"
            )
        return lease

    async def escalations(self, query: api.EscalationsQuery) -> api.EscalationPage:
        """Return a page of escalations."""
        found = await self._store.escalations(query)
        page = found[: query.limit]
        return api.EscalationPage(
            escalations=page, next_cursor=page[-1].seq if len(found) > query.limit else None
        )

    async def take_lead(self, lead_id: str, service: Service, claim: api.LeadClaim) -> Lead:
        """Take or keep a lead. Raises `LeaseLive` naming who has it."""
        now = datetime.now(UTC)
        wanted = Lead(lead_id, service.value, claim.holder, now + timedelta(seconds=claim.seconds))
        lead = await self._store.take_lead(wanted, now)
        if (lead.service, lead.holder) != (wanted.service, wanted.holder):
            raise LeaseLive(
                f"{lead.service} {lead.holder} leads {lead_id} until {lead.expires_at.isoformat()}"
            )
        return lead

    async def release_lead(self, lead_id: str, service: Service, holder: str) -> api.Released:
        """Give a lead up."""
        return api.Released(released=await self._store.release_lead(lead_id, service.value, holder))

    async def point(self, as_of: str) -> int:
        """Return the seq that a reader names. Raises `BadRequest` beyond the present."""
        return await self._past.seq_of(as_of)

    async def mainlines(self, query: MainlinesQuery) -> Mainlines:
        """Return where the mainlines of theaters stood."""
        return await self._past.mainlines(query)

    async def why_run(self, run_id: str, as_of: str | None = None) -> Why:
        """Say what a run waits for, or waited for then."""
        if as_of is not None:
            return await self._past.why_run(run_id, await self._past.seq_of(as_of))
        view = await self.run(run_id)
        leases = await self._store.leases([order.order_id for order in view.orders])
        return why_run(view, leases, datetime.now(UTC))

    async def why_order(self, order_id: str, as_of: str | None = None) -> Why:
        """Say what an order waits for, or waited for then."""
        if as_of is not None:
            return await self._past.why_order(order_id, await self._past.seq_of(as_of))
        run_id = (await self.order(order_id)).order.run_id
        orders = {order.order_id: order for order in (await self.run(run_id)).orders}
        leases = await self._store.leases(list(orders))
        return why_order(orders[order_id], orders, leases, datetime.now(UTC))


def split_types(types: str | None) -> list[str] | None:
    """Return a comma-separated list of event types. Raises `BadRequest` naming one that does not exist."""
    if not types:
        return None
    names = types.split(",")
    unknown = [name for name in names if name not in EventType.__members__]
    if unknown:
        raise BadRequest(f"types: there is no event type {unknown[0]!r}")
    return names


def split_phases(phases: str | None) -> list[str] | None:
    """Return a comma-separated list of order phases. Raises `BadRequest` naming one that does not exist."""
    if not phases:
        return None
    names = phases.split(",")
    unknown = [name for name in names if name not in OrderPhase.__members__]
    if unknown:
        raise BadRequest(f"phases: there is no order phase {unknown[0]!r}")
    return names


def resume_after(last_event_id: str, after: int) -> int:
    """Return the cursor of a stream: the `Last-Event-ID` header where it is sent, else `after`.

    Raises `BadRequest` when the header is no seq of ours.
    """
    if not last_event_id:
        return after
    try:
        return msgspec.convert(last_event_id, Seq, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"Last-Event-ID {last_event_id[:80]!r} is no seq of this ledger: {error}") from error
