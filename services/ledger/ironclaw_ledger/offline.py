"""Rebuild the snapshots while no service runs, as a restore has to."""

import asyncio
import sys

import msgspec

from ironclaw_chassis.logs import configure_logging
from ironclaw_chassis.serve import load_settings
from ironclaw_contracts.enums import Service
from ironclaw_ledger import audit
from ironclaw_ledger.settings import Settings
from ironclaw_ledger.store import Store


def rebuild() -> None:
    """Derive every snapshot again and print what was found as one line of JSON."""
    settings = load_settings(Service.LEDGER, Settings)
    configure_logging(Service.LEDGER, settings.log_level, settings.log_format)

    async def run() -> bytes:
        store = await Store.open(settings.database_url.reveal(), settings.pool_size)
        try:
            return msgspec.json.encode(await audit.rebuild(store))
        finally:
            await store.close()

    sys.stdout.write(asyncio.run(run()).decode() + "\n")
