"""The ledger's endpoints for what model calls may cost; served with its others."""

from msgspec import Struct

from ironclaw_contracts.endpoint import Done, Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.spending import Account, Spent, Worst


class Accounts(Struct, frozen=True):
    """How accounts stand."""

    accounts: list[Account]


RESERVE = Endpoint(
    service=Service.LEDGER,
    name="reserve",
    method="POST",
    path="/reservations/{reservation_id}",
    summary="Hold back the worst case of a model call, or refuse it.",
    body=Worst,
    query=Nothing,
    answer=Accounts,
    callers=frozenset({Service.WORKER, Service.CO}),
)
MARK_SENT = Endpoint(
    service=Service.LEDGER,
    name="mark_sent",
    method="POST",
    path="/reservations/{reservation_id}/sent",
    summary="Note that the call leaves: from here on it is charged unless settled.",
    body=Nothing,
    query=Nothing,
    answer=Done,
    callers=frozenset({Service.WORKER, Service.CO}),
)
SETTLE = Endpoint(
    service=Service.LEDGER,
    name="settle",
    method="POST",
    path="/reservations/{reservation_id}/settle",
    summary="Enter what the call cost in place of what was held back.",
    body=Spent,
    query=Nothing,
    answer=Done,
    callers=frozenset({Service.WORKER, Service.CO}),
)
RUN_SPENDING = Endpoint(
    service=Service.LEDGER,
    name="run_spending",
    method="GET",
    path="/runs/{run_id}/spending",
    summary="What a run and its key have spent and may spend.",
    body=Nothing,
    query=Nothing,
    answer=Accounts,
)
