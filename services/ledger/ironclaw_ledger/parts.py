"""The ledger's parts, opened with the application."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.resources import files

from ironclaw_chassis.database import read_migrations
from ironclaw_chassis.identity import load_private_key
from ironclaw_contracts.endpoints.ledger import Chain
from ironclaw_contracts.enums import Service
from ironclaw_ledger.appender import Appender
from ironclaw_ledger.checkpoints import CheckpointSigner
from ironclaw_ledger.metrics import read_state
from ironclaw_ledger.reading import Reader
from ironclaw_ledger.settings import Settings
from ironclaw_ledger.spending import Spending
from ironclaw_ledger.store import Store
from ironclaw_ledger.stream import Stream


class Ledger:
    """Store, appender, reader and stream of one replica."""

    store: Store
    appender: Appender
    reader: Reader
    stream: Stream
    spending: Spending

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        key = load_private_key(settings.keys / f"{Service.LEDGER.value}.key")
        self.signer = CheckpointSigner(key, settings.checkpoint_events)
        self._schema_version = len(read_migrations(files("ironclaw_ledger") / "migrations"))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Open the database and run the loops while the context is open."""
        self.store = await Store.open(self._settings.database_url.reveal(), self._settings.pool_size)
        self.reader = Reader(self.store)
        self.spending = Spending(self.store, self.store.spending)
        self.stream = Stream(self.store, self._settings.streams_max)
        self.appender = Appender(self.store, self.signer, self.stream.committed, self._settings.queue_max)
        try:
            async with self.stream.running(), self.appender.running():
                yield
        finally:
            await self.store.close()

    async def ping(self) -> None:
        """Raise `Unavailable` when the database is away or not migrated."""
        await self.store.check_schema(self._schema_version)

    async def read_figures(self) -> None:
        """Set the gauges that the tables know."""
        await read_state(self.store, datetime.now(UTC))

    async def chain(self) -> Chain:
        """Return the head of the chain and the newest checkpoint."""
        seq, hash_hex = await self.store.head()
        return Chain(
            head_seq=seq,
            head_hash=hash_hex,
            checkpoint=await self.store.newest_checkpoint(),
            public_key=self.signer.public_key,
        )
