"""Events a second that a tick takes in, beside reading the same pages and doing nothing with them.

Both go through a real ledger process on a real PostgreSQL, over HTTP. What is remembered is measured after a
tenth of the events and after all of them: it must not grow with their number.

    python -m bench learning
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import asyncpg

from bench.report import Aim, Row, paired
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.database import migrate
from ironclaw_chassis.identity import Identity, create_key
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_chassis.secret import Secret
from ironclaw_contracts import payloads as p
from ironclaw_contracts.artifacts import ModelUse, Order, Profile
from ironclaw_contracts.endpoints import ledger as api
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType as E
from ironclaw_contracts.events import NewEvent, new_event
from ironclaw_contracts.plan import Budget, Extraction, Plan, Task
from ironclaw_contracts.policy import Routing
from ironclaw_fleet.embedded.postgres import EmbeddedPostgres
from ironclaw_fleet.embedded.roles import ensure_database
from ironclaw_fleet.ports import free_port, is_ready
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_learning.feedback import Feedback
from ironclaw_learning.fold import fold
from ironclaw_learning.following import PAGE, Following
from ironclaw_learning.following import TYPES as LEARNT
from ironclaw_learning.learned import Learned, encode
from ironclaw_learning.settings import Settings
from ironclaw_learning.store import Store
from ironclaw_ledger.parts import Ledger
from ironclaw_ledger.settings import Settings as LedgerSettings

SHA, DIGEST = "a" * 40, "0" * 64
TYPES = ("draft", "summarize", "synthesize", "edit")
PROFILES = ("executor_default", "quick", "careful", "local", "large")
ORDERS_A_RUN = 100
WRITERS = 32


async def write_run(ledger: Ledger, run_id: str, first: int, count: int) -> None:
    """Have a run of orders planned, done and merged, as the services would tell it."""

    async def tell(source: Service, *events: NewEvent) -> None:
        await ledger.appender.append(source, list(events))

    def of_run(kind: E, payload: p.Payload) -> NewEvent:
        return new_event(kind, payload, run_id=run_id, theater_id="t")

    names = [f"{run_id}-{n}" for n in range(count)]
    tasks = [Task(name, "draft", "t") for name in names]
    plan = Plan(1, "x", [], tasks, Extraction(names, "x"), "draft", "playbook")
    created = p.RunCreated(user_id="u", objective="x", budget=Budget(max_orders=count))
    await tell(Service.CO, of_run(E.RUN_CREATED, created), of_run(E.RUN_UPDATED, p.RunUpdated(plan=plan)))
    for number, name in enumerate(names, start=first):
        await write_order(ledger, run_id, name, TYPES[number % 4], PROFILES[number % 5])


async def write_order(ledger: Ledger, run_id: str, name: str, task_type: str, profile: str) -> None:
    """Have one order done."""

    async def tell(source: Service, *told: tuple[E, p.Payload], unit: str | None = None) -> None:
        await ledger.appender.append(
            source, [new_event(kind, payload, order_id=name, unit_id=unit) for kind, payload in told]
        )

    order = Order(
        order_id=name,
        run_id=run_id,
        theater_id="t",
        type=task_type,
        objective="Summarize the document faithfully and briefly. " * 4,
        profile=Profile(name=profile),
    )
    routing = Routing(policy_version=1, basis="policy", reason="bench", propensity=0.2)
    created = p.OrderCreated(order=order, title="t", routing=routing)
    made = new_event(E.ORDER_CREATED, created, run_id=run_id, order_id=name)
    await ledger.appender.append(Service.CO, [made])
    worktree = p.WorktreeCreated(path="/w", branch="b", base_commit=SHA)
    ready = p.WorktreeReady(path="/w")
    await tell(Service.VAULT, (E.WORKTREE_CREATED, worktree), (E.WORKTREE_READY, ready))
    await tell(Service.CO, (E.ORDER_ENQUEUED, p.OrderEnqueued(base_commit=SHA)))
    model = ModelUse(provider="p", name="m", tokens_in=900, tokens_out=200)
    report = p.AarWritten(path="aar.json", sha256=DIGEST, status="completed", summary="s", model=model)
    await tell(
        Service.WORKER,
        (E.ORDER_CLAIMED, p.OrderClaimed()),
        (E.ORDER_STARTED, p.OrderStarted()),
        (E.AAR_WRITTEN, report),
        (E.ORDER_COMPLETED, p.OrderCompleted(commit_sha=SHA)),
        unit="assault_1",
    )
    await tell(Service.OBSERVER, (E.INTEGRATION_READY, p.IntegrationReady(commit_sha=SHA)))
    await tell(
        Service.INTEGRATION,
        (E.INTEGRATION_STARTED, p.IntegrationStarted(commit_sha=SHA)),
        (E.INTEGRATION_PASSED, p.IntegrationPassed(merge_commit=SHA, onto=SHA, gates=[])),
        (E.INTEGRATED, p.Integrated(commit_sha=SHA, mainline="main")),
    )


async def fill(url: str, keys: Path, orders: int) -> None:
    """Write the ledger; that is not part of what is measured."""
    await migrate(url, files("ironclaw_ledger") / "migrations")
    ledger = Ledger(LedgerSettings(database_url=Secret(url), keys_dir=str(keys)))
    slots = asyncio.Semaphore(WRITERS)

    async def write(first: int) -> None:
        async with slots:
            await write_run(ledger, f"run-{first}", first, min(ORDERS_A_RUN, orders - first))

    async with ledger.open():
        await asyncio.gather(*(write(first) for first in range(0, orders, ORDERS_A_RUN)))


async def read(client: ServiceClient) -> tuple[int, float]:
    """Read every page as a tick does, and do nothing with it; return events and seconds."""
    started, after, count = time.perf_counter(), 0, 0
    while True:
        query = api.EventsQuery(after=after, types=LEARNT, limit=PAGE)
        page = await client.call(api.LIST_EVENTS, query=query)
        count += len(page.events)
        if page.next_after is None:
            return count, time.perf_counter() - started
        after = page.next_after


async def take_in(client: ServiceClient, url: str) -> tuple[int, float, int]:
    """Take everything in from the beginning; return events, seconds and bytes remembered."""
    admin = await asyncpg.connect(url)
    await admin.execute("truncate learned")
    await admin.close()
    store = await Store.open(url, 2)
    started = time.perf_counter()
    learned, count = await Following(client, store, Feedback(LedgerClient(client), "local")).caught_up()
    seconds = time.perf_counter() - started
    await store.close()
    return count, seconds, len(encode(learned))


async def remembered_after(client: ServiceClient, share: float) -> int:
    """Return the bytes remembered after a share of the events."""
    head = (await client.call(api.GET_CHAIN)).head_seq
    learned = Learned()
    async for event in LedgerClient(client).events():
        if event.seq > head * share:
            break
        fold(learned, event)
    return len(encode(learned))


async def measure(orders: int, rounds: int) -> list[Row]:
    """Run both in turn and return the figures."""
    with tempfile.TemporaryDirectory(prefix="ironclaw-bench-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        state = StateDirectory(Path(folder) / "fleet")
        state.create()
        for service in Service:
            create_key(state.keys, service.value)
        server = EmbeddedPostgres(state, free_port())
        server.prepare()
        spec = server.spec()
        with spec.log_path.open("ab") as log:
            postgres = subprocess.Popen(
                spec.argv, env=spec.env, cwd=spec.cwd, stdout=log, stderr=log, user=spec.user, group=spec.user
            )
        try:
            while not await spec.ready():
                await asyncio.sleep(0.05)
            base = await ensure_database(server.url("postgres"))
            return await measured(base, state, orders, rounds)
        finally:
            postgres.terminate()
            postgres.wait(20)


async def measured(base: str, state: StateDirectory, orders: int, rounds: int) -> list[Row]:
    """Fill a ledger, start its process, and measure."""
    admin = await asyncpg.connect(base)
    await admin.execute("create database bench_ledger")
    await admin.execute("create database bench_learning")
    await admin.close()
    ledger_url, learning_url = (base.rsplit("/", 1)[0] + f"/bench_{n}" for n in ("ledger", "learning"))
    await fill(ledger_url, state.keys, orders)
    await migrate(learning_url, files("ironclaw_learning") / "migrations")
    port = free_port()
    environ = os.environ | {
        "IRONCLAW_HOME": str(state.path),
        "IRONCLAW_LOG_LEVEL": "warning",
        "IRONCLAW_LEDGER_DATABASE_URL": ledger_url,
        "IRONCLAW_LEDGER_PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, "-m", "ironclaw_ledger"], env=environ)
    try:
        while not await is_ready(port):
            await asyncio.sleep(0.05)
        settings = Settings(home=str(state.path))
        addresses = Addresses(settings, {"IRONCLAW_LEDGER_URL": f"http://127.0.0.1:{port}"})
        async with ServiceClient(Identity.load(Service.LEARNING, state.keys), addresses) as client:
            return await figures(client, learning_url, rounds)
    finally:
        process.terminate()
        process.wait(20)


async def figures(client: ServiceClient, url: str, rounds: int) -> list[Row]:
    """Measure reading and taking in, in turn."""
    reading: list[float] = []
    ticking: list[float] = []
    count = size = 0
    for _ in range(rounds):
        count, seconds = await read(client)
        reading.append(count / seconds)
        count, seconds, size = await take_in(client, url)
        ticking.append(count / seconds)
    early = await remembered_after(client, 0.1)
    return [
        paired(
            "learning: events taken in by a tick",
            "1/s",
            ticking,
            reading,
            "reading the same pages",
            Aim(">=", 0.5),
            note=f"{count} events",
        ),
        Row(
            "learning: memory after all events, beside after a tenth",
            "bytes",
            size,
            early,
            "after a tenth",
            round(size / early, 3),
            aims=(Aim("<=", 1.1),),
            note=f"process at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB",
        ),
    ]


def rows() -> list[Row]:
    """Measure three rounds over 3,000 orders."""
    return asyncio.run(measure(3_000, 3))
