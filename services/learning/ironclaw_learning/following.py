"""Keep what is remembered up with the ledger: page by page, the cursor stored with what it stands for."""

import msgspec
import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.endpoints.ledger_proof import FIND_POINT, PointQuery
from ironclaw_contracts.events import Event, EventType, typed_payload
from ironclaw_contracts.payloads import RunCreated
from ironclaw_learning.feedback import Feedback
from ironclaw_learning.fold import CONSUMED, fold
from ironclaw_learning.learned import FORM, Learned, decode, encode
from ironclaw_learning.store import Store

log = structlog.get_logger()

TYPES = ",".join(sorted({*CONSUMED, EventType.RUN_CREATED}))
"""What is asked of the ledger: what is folded, and the runs that follow others up."""
PAGE = 1_000


class Following:
    """Holds the memory of this process. One caller at a time."""

    def __init__(self, client: ServiceClient, store: Store, feedback: Feedback) -> None:
        self._client = client
        self._store = store
        self._feedback = feedback
        self._learned: Learned | None = None

    async def caught_up(self) -> tuple[Learned, int]:
        """Return the memory as of the ledger's head, and how many events were new."""
        learned = self._learned = self._learned or await self._loaded()
        count = 0
        more = True
        while more:
            page = await self._page(learned.seq)
            for event in page.events:
                # Before the event is taken in: a failure here leaves the cursor in front of it.
                await self._follow_up(event)
                fold(learned, event)
            if page.events:
                await self._store.save(FORM, learned.seq, encode(learned).decode())
            count += len(page.events)
            more = page.next_after is not None
        return learned, count

    async def rebuilt(self, at_seq: int) -> Learned:
        """Return the memory as it was at an event, derived from the ledger alone."""
        learned = Learned()
        more = True
        while more:
            page = await self._page(learned.seq)
            for event in page.events:
                if event.seq > at_seq:
                    return learned
                fold(learned, event)
            more = page.next_after is not None
        return learned

    async def point(self, as_of: str) -> int:
        """Return the seq that a reader names by a seq or an instant."""
        return (await self._client.call(FIND_POINT, query=PointQuery(as_of))).seq

    async def _page(self, after: int) -> api.EventPage:
        query = api.EventsQuery(after=after, types=TYPES, limit=PAGE)
        return await self._client.call(api.LIST_EVENTS, query=query)

    async def _follow_up(self, event: Event) -> None:
        if event.type is not EventType.RUN_CREATED or event.run_id is None:
            return
        payload = typed_payload(event.type, event.payload)
        if isinstance(payload, RunCreated) and payload.follow_up is not None:
            await self._feedback.follow_up(event.run_id, payload.user_id, payload.follow_up)

    async def _loaded(self) -> Learned:
        stored = await self._store.load(FORM)
        if stored is None:
            return Learned()
        try:
            return decode(stored)
        except msgspec.ValidationError as error:
            log.warning("what was learned is derived anew", reason=str(error))
            return Learned()
