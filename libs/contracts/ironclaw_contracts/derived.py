"""Events about a run or an order that is known: ids filled in, and an event id that a retry gives again."""

from ironclaw_contracts.events import EventType, NewEvent, new_event
from ironclaw_contracts.ids import derived_event_id
from ironclaw_contracts.payloads import AttemptPayload, Payload
from ironclaw_contracts.snapshots import OrderSnapshot, RunSnapshot


def order_event(
    kind: EventType, payload: AttemptPayload, order: OrderSnapshot, *ordinals: str | int
) -> NewEvent:
    """Return an event of an order. `ordinals` tell apart events of one type within one attempt."""
    return new_event(
        kind,
        payload,
        run_id=order.run_id,
        order_id=order.order_id,
        theater_id=order.theater_id,
        garrison_id=order.garrison_id,
        event_id=derived_event_id(order.order_id, payload.attempt, kind, *ordinals),
    )


def run_event(kind: EventType, payload: Payload, run: RunSnapshot, *ordinals: str | int) -> NewEvent:
    """Return an event of a run. `ordinals` tell apart events of one type."""
    return new_event(
        kind,
        payload,
        run_id=run.run_id,
        theater_id=run.theater_id,
        garrison_id=run.garrison_id,
        event_id=derived_event_id(run.run_id, kind, *ordinals),
    )
