"""A fleet with quick watchdogs, a scripted model, and everything an operator has to see what they did."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import Event, EventType
from ironclaw_contracts.snapshots import OrderSnapshot
from tests.conftest import open_folder
from tests.e2e.watchdogs.receiver import WebhookReceiver
from tests.support.fleet import FleetUnderTest
from tests.support.model_server import ModelServer
from tests.support.waiting import until

WEBHOOK_SECRET = "whsec-of-the-test"
QUICK = {
    "IRONCLAW_LEASE_SECONDS": "2",
    "IRONCLAW_DUTY_OFFICER_SUSPECT_SECONDS": "1",
    "IRONCLAW_DUTY_OFFICER_WATCH_SECONDS": "0.3",
    "IRONCLAW_DUTY_OFFICER_PATROL_SECONDS": "1",
    "IRONCLAW_DUTY_OFFICER_UNCLAIMED_SECONDS": "2",
    "IRONCLAW_DUTY_OFFICER_LEAD_SECONDS": "2",
    "IRONCLAW_DUTY_OFFICER_PROBE_PAUSE_SECONDS_MAX": "3",
    "IRONCLAW_DUTY_OFFICER_RUN_STILL_SECONDS": "2",
    "IRONCLAW_OBSERVER_PATROL_SECONDS": "1",
    "IRONCLAW_OBSERVER_SWEEP_SECONDS": "0.5",
    "IRONCLAW_OBSERVER_STUCK_SECONDS": "3",
    "IRONCLAW_CO_SWEEP_SECONDS": "0.5",
    "IRONCLAW_VAULT_JANITOR_SECONDS": "1",
    "IRONCLAW_VAULT_WORKTREE_RETENTION_SECONDS": "1",
    "IRONCLAW_SENTINEL_AUDIT_SECONDS": "0.5",
    "IRONCLAW_SENTINEL_PATROL_SECONDS": "1",
    "IRONCLAW_SENTINEL_LEAD_SECONDS": "2",
    "IRONCLAW_SENTINEL_TICK_AGE_SECONDS_MAX": "4",
}


class Provider:
    """A model provider whose answers are scripted by words in the request; it answers `done` otherwise."""

    def __init__(self) -> None:
        self._scripts: dict[str, Callable[[], tuple[int, str]]] = {}
        self.asked: list[str] = []

    def on(self, word: str, script: Callable[[], tuple[int, str]]) -> None:
        self._scripts[word] = script

    def __call__(self, request: dict[str, Any]) -> tuple[int, str]:
        text = str(request["messages"])
        for word, script in self._scripts.items():
            if word in text:
                self.asked.append(word)
                return script()
        return 200, "done"

    def count(self, word: str) -> int:
        return self.asked.count(word)

    async def called(self, word: str) -> None:
        """Wait until a unit is in its call for a word: an order says `running` a moment before that."""

        async def look() -> bool | None:
            return self.count(word) > 0 or None

        await until(look, 40, f"the call for {word}")


class Gate:
    """Holds a provider's answers until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def __call__(self) -> tuple[int, str]:
        self._open.wait(60)
        return 200, "worth waiting for"


@pytest.fixture(scope="package")
def provider() -> Provider:
    return Provider()


@pytest.fixture(scope="package")
def webhook() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="package")
def quick(provider: Provider, webhook: WebhookReceiver) -> Iterator[FleetUnderTest]:
    """The fleet."""
    with open_folder() as root, ModelServer(provider) as server:
        environ = {
            **QUICK,
            "IRONCLAW_MODEL_BASE_URL": server.url,
            "IOINTELLIGENCE_API_KEY": "k" * 20,
            "IRONCLAW_SENTINEL_WEBHOOK_URL": webhook.url,
            "IRONCLAW_SENTINEL_WEBHOOK_SECRET": WEBHOOK_SECRET,
        }
        with FleetUnderTest.started(root / "fleet", environ) as fleet:
            yield fleet


async def ask(client: ServiceClient, word: str, **changes: Any) -> str:
    """Ask for one draft and return its run."""
    settings = {"constraints": Constraints(budget_seconds=60), **changes}
    request = api.ChatRequest(message=f"write {word}", mode="async", playbook="draft", **settings)
    return (await client.call(api.CHAT, request)).run_id


async def only_order(client: ServiceClient, run_id: str, *phases: OrderPhase) -> OrderSnapshot:
    """Return a run's one order once it is in one of these phases."""

    async def look() -> OrderSnapshot | None:
        orders = (await client.call(api.GET_RUN, run_id=run_id)).orders
        return orders[0] if orders and orders[0].phase in phases else None

    return await until(look, 40, f"{phases} of {run_id}")


async def events_of(client: ServiceClient, *kinds: EventType, **query: Any) -> list[Event]:
    """Return the events of these types."""
    wanted = EventsQuery(types=",".join(kinds), limit=1000, **query)
    return (await client.call(api.LIST_EVENTS, query=wanted)).events
