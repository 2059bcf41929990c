"""What the service holds while it runs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.identity import create_key, load_private_key
from ironclaw_contracts.milestones import Milestone
from ironclaw_openclawdbot.gathering import Gathering
from ironclaw_openclawdbot.proof.showing import ProofShowing
from ironclaw_openclawdbot.proof.store import ProofStore
from ironclaw_openclawdbot.proof.validator import Validator
from ironclaw_openclawdbot.settings import Settings
from ironclaw_openclawdbot.store import Store

_VALIDATOR_KEY = "openclaw-validator"


class Parts:
    """The store and the client, open while the lifespan lasts."""

    def __init__(self, settings: Settings, client: ServiceClient) -> None:
        self._settings = settings
        self.client = client
        self._store: Store | None = None
        self._validator: Validator | None = None
        self._proof: ProofShowing | None = None
        self.milestones = Gathering[tuple[str, Milestone], tuple[bool, str]](self._accept)

    @property
    def store(self) -> Store:
        """The store. Raises RuntimeError outside the lifespan."""
        if self._store is None:
            raise RuntimeError("the service is not running")
        return self._store

    @property
    def validator(self) -> Validator:
        """The OpenClaw validator. Raises RuntimeError outside the lifespan."""
        if self._validator is None:
            raise RuntimeError("the service is not running")
        return self._validator

    @property
    def proof(self) -> ProofShowing:
        """What the validator shows. Raises RuntimeError outside the lifespan."""
        if self._proof is None:
            raise RuntimeError("the service is not running")
        return self._proof

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Hold the pool and the client for as long as the context is open."""
        async with self.client:
            self._store = await Store.open(self._settings.database_url.reveal(), self._settings.pool_size)
            proof = ProofStore(self._store.pool)
            key = await asyncio.to_thread(_validator_key, self._settings.keys)
            self._validator = Validator(key, proof)
            self._proof = ProofShowing(proof, self._settings.heartbeat_seconds)
            try:
                async with self.milestones.running():
                    yield
            finally:
                await self._store.close()
                self._store = self._validator = self._proof = None

    async def _accept(self, records: list[tuple[str, Milestone]]) -> list[tuple[bool, str]]:
        return await self.store.accept_milestones(records)

    async def ping(self) -> None:
        """Raise `Unavailable` when the database is away."""
        await self.store.ping()


def _validator_key(folder: Path) -> Ed25519PrivateKey:
    """Return the key that signs ACKs: its own, apart from the one of the service's tokens; made once."""
    create_key(folder, _VALIDATOR_KEY)
    return load_private_key(folder / f"{_VALIDATOR_KEY}.key")
