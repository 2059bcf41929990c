"""Budgets that cannot be overrun: the worst case is held back before a call, and settled after it.

A reservation ends with its unit's lease. One whose call was never sent is released; one whose call was
is charged in full, since nobody can say that the provider did not bill it. A late settlement corrects that.
"""

from datetime import UTC, datetime, timedelta

from ironclaw_contracts.errors import BadRequest, BudgetExceeded, LeaseLost, NotFound
from ironclaw_contracts.snapshots import OrderSnapshot, RunSnapshot
from ironclaw_contracts.spending import Account, Ceiling, Spent, Worst, exceeding
from ironclaw_ledger.store import SpendingStore, Store


class Spending:
    """Reserves and settles, by what orders, runs and keys may spend."""

    def __init__(self, store: Store, spending: SpendingStore) -> None:
        self._store = store
        self._spending = spending

    async def reserve(self, reservation_id: str, worst: Worst) -> list[Account]:
        """Hold back the worst case of a call; the same reservation again changes nothing.

        Raises `BudgetExceeded` naming the account and its figures, `LeaseLost` when the order is no longer
        the unit's, `BadRequest` and `NotFound` for an order or run that is not there.
        """
        ceilings = await self._ceilings(worst)
        now = datetime.now(UTC)
        async with self._spending.alone(now) as books:
            if await books.find(reservation_id) is not None:
                return await books.standing(ceilings)
            if worst.order_id is not None and not await books.holds_lease(
                worst.order_id, worst.attempt, worst.unit_id or "", now
            ):
                raise LeaseLost(
                    f"order {worst.order_id} is not in the hands of {worst.unit_id}: nothing is reserved"
                )
            for account in await books.standing(ceilings):
                reason = exceeding(account, worst)
                if reason is not None:
                    raise BudgetExceeded(reason)
            await books.reserve(reservation_id, list(ceilings), worst, now + timedelta(seconds=worst.seconds))
            return await books.standing(ceilings)

    async def mark_sent(self, reservation_id: str) -> None:
        """Note that the call is about to leave. Raises `LeaseLost` when the reservation is gone."""
        async with self._spending.alone(datetime.now(UTC)) as books:
            row = await books.find(reservation_id)
            if row is None or row["lapsed"]:
                raise LeaseLost(
                    f"reservation {reservation_id} has ended with its lease: the call is not made"
                )
            await books.mark_sent(reservation_id)

    async def settle(self, reservation_id: str, spent: Spent) -> None:
        """Enter what the call cost; a reservation that is settled already stays as it is."""
        async with self._spending.alone(datetime.now(UTC)) as books:
            row = await books.find(reservation_id)
            if row is not None:
                await books.settle(row, spent)

    async def of_run(self, run_id: str) -> list[Account]:
        """Return how a run's account and that of its key stand. Raises `NotFound`."""
        view = await self._store.run(run_id)
        if view is None:
            raise NotFound(f"there is no run {run_id!r}")
        return await self._spending.standing(_run_ceilings(view.run))

    async def _ceilings(self, worst: Worst) -> dict[str, Ceiling]:
        order: OrderSnapshot | None = None
        if worst.order_id is not None:
            found = await self._store.order(worst.order_id)
            if found is None:
                raise NotFound(f"there is no order {worst.order_id!r}")
            order = found.order
            if order.run_id != worst.run_id:
                raise BadRequest(f"run_id: order {order.order_id} is of run {order.run_id}")
        view = await self._store.run(worst.run_id)
        if view is None:
            raise NotFound(f"there is no run {worst.run_id!r}")
        ceilings = _run_ceilings(view.run)
        if order is not None:
            ceilings[f"order {order.order_id}"] = order.order.constraints.spend
        ceilings[f"profile {worst.profile}"] = Ceiling()
        return ceilings


def _run_ceilings(run: RunSnapshot) -> dict[str, Ceiling]:
    ceilings = {f"run {run.run_id}": run.budget.spend}
    if run.charged_to is not None:
        ceilings[f"key {run.charged_to.key_id}"] = run.charged_to.ceiling
    return ceilings
