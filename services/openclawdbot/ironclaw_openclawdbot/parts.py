"""What the service holds while it runs."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.identity import create_key, load_private_key
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.reconciler import background, forever
from ironclaw_contracts.endpoints.openclawdbot_proof import Registration
from ironclaw_contracts.errors import Problem
from ironclaw_contracts.milestones import Milestone
from ironclaw_openclawdbot.gathering import Gathering
from ironclaw_openclawdbot.proof.outcomes import Outcomes
from ironclaw_openclawdbot.proof.showing import ProofShowing
from ironclaw_openclawdbot.proof.store import ProofStore
from ironclaw_openclawdbot.proof.validator import Validator
from ironclaw_openclawdbot.proof.watching import NodeWatch
from ironclaw_openclawdbot.settings import Settings
from ironclaw_openclawdbot.store import Store

log = structlog.get_logger()

_VALIDATOR_KEY = "openclaw-validator"
_PAUSE_SECONDS = 0.05


class Parts:
    """The store and the client, open while the lifespan lasts."""

    def __init__(self, settings: Settings, client: ServiceClient) -> None:
        self._settings = settings
        self.client = client
        self._store: Store | None = None
        self._validator: Validator | None = None
        self._proof: ProofShowing | None = None
        self._watch: NodeWatch | None = None
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

    @property
    def watch(self) -> NodeWatch:
        """The watch over the nodes. Raises RuntimeError outside the lifespan."""
        if self._watch is None:
            raise RuntimeError("the service is not running")
        return self._watch

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Hold the pool and the client for as long as the context is open."""
        async with self.client:
            settings, ledger = self._settings, LedgerClient(self.client)
            self._store = await Store.open(settings.database_url.reveal(), settings.pool_size)
            proof = ProofStore(self._store.pool)
            key = await asyncio.to_thread(_validator_key, settings.keys)
            self._validator = validator = Validator(key, proof)
            self._proof = ProofShowing(proof, settings.heartbeat_seconds)
            escalations = Escalations(ledger, settings.garrison_id)
            self._watch = watch = NodeWatch(
                proof, escalations, settings.heartbeat_seconds, settings.streams_max
            )
            try:
                await self._register_ours(validator)
                outcomes = Outcomes(ledger, proof, validator)
                async with (
                    self.milestones.running(),
                    validator.running(),
                    background(
                        forever("nodes", watch.look, _PAUSE_SECONDS),
                        forever("outcomes", outcomes.follow, _PAUSE_SECONDS),
                    ),
                ):
                    yield
            finally:
                await self._store.close()
                self._store = self._validator = self._proof = self._watch = None

    async def _register_ours(self, validator: Validator) -> None:
        """Register the garrison's own nodes, which whoever started the fleet wrote down."""
        if not self._settings.nodes_file:
            return
        for node in await asyncio.to_thread(_read_nodes, Path(self._settings.nodes_file)):
            try:
                await validator.register(node, ours=True)
            except Problem as problem:
                log.error("a node of ours was refused", node_id=node.node_id, reason=problem.message)

    async def _accept(self, records: list[tuple[str, Milestone]]) -> list[tuple[bool, str]]:
        return await self.store.accept_milestones(records)

    async def ping(self) -> None:
        """Raise `Unavailable` when the database is away."""
        await self.store.ping()


def _read_nodes(path: Path) -> list[Registration]:
    return msgspec.json.decode(path.read_bytes(), type=list[Registration])


def _validator_key(folder: Path) -> Ed25519PrivateKey:
    """Return the key that signs ACKs: its own, apart from the one of the service's tokens; made once."""
    create_key(folder, _VALIDATOR_KEY)
    return load_private_key(folder / f"{_VALIDATOR_KEY}.key")
