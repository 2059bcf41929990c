"""Who pays for a call: held back at the ledger before it, settled after it."""

import contextlib
from typing import Protocol

import structlog
from msgspec import Struct

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.model.errors import ModelError
from ironclaw_contracts.endpoints import ledger_spending as api
from ironclaw_contracts.enums import Cause
from ironclaw_contracts.errors import BudgetExceeded, Problem
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.spending import Spent, Worst

log = structlog.get_logger()

_PLANNING_SECONDS = 300


class Payer(Struct, frozen=True, kw_only=True):
    """For whom a call is made: an attempt at an order, or a run that is being planned."""

    run_id: str
    profile: str
    order_id: str | None = None
    attempt: int = 1
    unit_id: str | None = None


class Purse(Protocol):
    """Holds back and settles."""

    async def reserve(self, payer: Payer, tokens: int, cost_microusd: int | None) -> str:
        """Hold back the worst case and note that the call leaves; return the reservation.

        Raises `ModelError` when a ceiling could be passed.
        """
        ...

    async def settle(self, reservation_id: str, tokens: int, cost_microusd: int) -> None:
        """Enter what the call cost."""
        ...


class LedgerPurse:
    """The accounts in the ledger's PostgreSQL, shared by every worker."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def reserve(self, payer: Payer, tokens: int, cost_microusd: int | None) -> str:
        """Hold back the worst case. Raises `ModelError`, and the ledger's `Problem` when it is away."""
        reservation_id = new_id()
        worst = Worst(
            run_id=payer.run_id,
            order_id=payer.order_id,
            attempt=payer.attempt,
            unit_id=payer.unit_id,
            profile=payer.profile,
            tokens=tokens,
            cost_microusd=cost_microusd,
            seconds=_PLANNING_SECONDS,
        )
        try:
            await self._client.call(api.RESERVE, worst, reservation_id=reservation_id)
        except BudgetExceeded as error:
            raise ModelError(Cause.TASK, f"the budget does not allow it: {error.message}") from error
        await self._client.call(api.MARK_SENT, reservation_id=reservation_id)
        return reservation_id

    async def settle(self, reservation_id: str, tokens: int, cost_microusd: int) -> None:
        """Enter what the call cost. When the ledger is away the whole reservation is charged at lease end."""
        with contextlib.suppress(Problem):
            spent = Spent(tokens=tokens, cost_microusd=cost_microusd)
            await self._client.call(api.SETTLE, spent, reservation_id=reservation_id)
            return
        log.warning("not settled", reservation_id=reservation_id, tokens=tokens)
