"""The part of the ledger that is one run's, with a proof that anybody can check."""

from msgspec import Struct

from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service
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
