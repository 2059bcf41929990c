"""What the ledger knows of its past: one run's part with a proof, where mainlines stood, the state anew."""

from datetime import datetime

from msgspec import Struct

from ironclaw_contracts.as_of import AsOf
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import Id
from ironclaw_contracts.receipts import Inclusion, ProvenEvent, Statement


class RunSlice(Struct, frozen=True):
    """A run's events, the proof that the ledger holds them, and its signature on both."""

    statement: Statement
    events: list[ProvenEvent]
    inclusion: Inclusion


READ_SLICE = Endpoint(
    service=Service.LEDGER,
    name="read_slice",
    method="GET",
    path="/runs/{run_id}/slice",
    summary="A run's events with a signed proof that they are all of the run's and in the ledger.",
    body=Nothing,
    query=Nothing,
    answer=RunSlice,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=60.0,
)


class MainlinesQuery(Struct, frozen=True):
    """As of when, and of which theater; of all by default."""

    as_of: AsOf
    theater_id: Id | None = None


class Mainline(Struct, frozen=True):
    """Where a theater's mainline stood, and the event that says so."""

    theater_id: str
    commit: str
    seq: int
    ts: datetime


class Mainlines(Struct, frozen=True):
    """The theaters that the ledger knew by then, by id. `seq` is the point that `as_of` names."""

    seq: int
    mainlines: list[Mainline]


class PointQuery(Struct, frozen=True):
    as_of: AsOf


class Point(Struct, frozen=True):
    """The seq that a reader names by a seq or an instant."""

    seq: int


FIND_POINT = Endpoint(
    service=Service.LEDGER,
    name="find_point",
    method="GET",
    path="/point",
    summary="The seq that a seq or an instant names.",
    body=Nothing,
    query=PointQuery,
    answer=Point,
)
LIST_MAINLINES = Endpoint(
    service=Service.LEDGER,
    name="list_mainlines",
    method="GET",
    path="/mainlines",
    summary="Where the mainlines of theaters stood as of then.",
    body=Nothing,
    query=MainlinesQuery,
    answer=Mainlines,
    callers=frozenset({Service.VAULT}),
)


class Rebuilt(Struct, frozen=True):
    """What a rebuild found: the snapshots that differed from the live ones, by id.

    `state_sha256` is the digest of all snapshots: the same events give the same, on any machine.
    """

    events: int
    runs: int
    orders: int
    differing: list[str]
    state_sha256: str


REBUILD = Endpoint(
    service=Service.LEDGER,
    name="rebuild",
    method="POST",
    path="/rebuild",
    summary="Derive every snapshot again from the events and replace the live ones.",
    body=Nothing,
    query=Nothing,
    answer=Rebuilt,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=600.0,
)
