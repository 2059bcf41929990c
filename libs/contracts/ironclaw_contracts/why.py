"""The answer to "why does it wait": one blocker, its owner, and when it will next move."""

from datetime import datetime

from msgspec import Struct

from ironclaw_contracts.enums import Service


class Link(Struct, frozen=True):
    """One step of the causal chain, from the asked-for thing down to what moves next."""

    subject: str
    blocker: str
    owner: Service
    since: datetime
    event_id: str
    next_action: str
    deadline: datetime


class Why(Struct, frozen=True):
    """`blocker`, `owner` and `deadline` are those of the last link; a terminal subject has no links."""

    subject: str
    state: str
    terminal: bool
    blocker: str | None
    owner: Service | None
    deadline: datetime | None
    chain: list[Link]
