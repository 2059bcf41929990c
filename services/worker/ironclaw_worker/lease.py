"""Keep a unit's lease: renewed three times in its length, for as long as the unit works."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints.ledger import LeaseRenewal
from ironclaw_contracts.errors import Conflict, Problem

log = structlog.get_logger()


class LeaseTaken(Exception):
    """The attempt was superseded: whatever this unit does from here on would be refused."""


@asynccontextmanager
async def held_lease(ledger: LedgerClient, order_id: str, renewal: LeaseRenewal) -> AsyncGenerator[None]:
    """Renew the lease while the body runs; the body is cancelled with `LeaseTaken` when the lease is gone.

    A ledger that is away is no reason to stop: a late result of a current attempt is still accepted.
    """
    body = asyncio.current_task()
    taken = False

    async def renew() -> None:
        nonlocal taken
        while True:
            await asyncio.sleep(renewal.lease_seconds / 3)
            try:
                await ledger.renew(order_id, renewal)
            except Conflict as error:
                log.warning("lease taken", order_id=order_id, attempt=renewal.attempt, reason=error.message)
                taken = True
                if body is not None:
                    body.cancel()
                return
            except Problem as error:
                log.warning("lease not renewed", order_id=order_id, reason=error.message)

    task = asyncio.create_task(renew(), name=f"lease-{order_id}")
    try:
        yield
    except asyncio.CancelledError:
        if taken:
            raise LeaseTaken(order_id) from None
        raise
    finally:
        task.cancel()
