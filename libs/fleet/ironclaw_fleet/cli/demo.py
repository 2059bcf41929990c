"""The main job, shown and proven: a chat over real documents becomes merged work and an answer."""

import asyncio
import time
from pathlib import Path

import aiohttp

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_contracts.chain import verify_lines
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.openclawdbot import LATEST_MILESTONES
from ironclaw_contracts.endpoints.vault import LogQuery, TheaterRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.snapshots import RunView
from ironclaw_fleet.cli.machine import running_fleet
from ironclaw_fleet.cli.output import print_table, say
from ironclaw_fleet.cli.progress import follow_run
from ironclaw_fleet.cli.session import Failed, gateway
from ironclaw_fleet.ports import free_port_row
from ironclaw_fleet.statedir import StateDirectory

_MESSAGE = "Summarize every document under docs/ and write one overview of the whole handbook."
_THEATER = "handbook"
_FEED_MAX = 50
_FEED_SECONDS = 20.0
_POLL_SECONDS = 0.1


async def demo(*, source: Path = Path("examples/handbook"), message: str = _MESSAGE) -> None:
    """Start a fleet, summarize a repository's documents, show and verify what came of it, stop.

    Args:
        source: A folder with documents under docs/.
        message: What to ask for.
    """
    if not source.is_dir():
        raise Failed(f"{source} is not a folder; run this in the repository, or give --source")
    state = StateDirectory.locate()
    state = StateDirectory(state.path / "demo")
    started = time.monotonic()
    say("Starting a fleet on embedded PostgreSQL and Valkey")
    port_base = free_port_row()
    async with running_fleet(
        state, port_base=port_base, workers=1, allowed_roots=(source.absolute(),), quiet=True
    ):
        say(f"  ready in {time.monotonic() - started:.1f} s, state in {state.path}")
        async with gateway(state.path) as client:
            view = await _run(client, source, message)
        await _show_feed(ServiceSettings(port_base=port_base).port_of(Service.OPENCLAWDBOT), view)


async def _run(client: ServiceClient, source: Path, message: str) -> RunView:
    request = TheaterRequest(theater_id=_THEATER, import_path=str(source.absolute()))
    theater = await client.call(api.OPEN_THEATER, request)
    say(f"  theater {theater.theater_id}: {theater.repo_path}\n\n> {message}\n")
    asked = time.monotonic()
    chat = api.ChatRequest(message=message, theater_hint=_THEATER, mode="async", user_id="demo")
    answer = await client.call(api.CHAT, chat)
    view = await follow_run(client, answer.run_id)
    took = time.monotonic() - asked
    say(f"\n{view.run.reply or view.run.reason}\n")
    log = await client.call(api.READ_LOG, query=LogQuery(limit=2 * len(view.orders) + 2), theater_id=_THEATER)
    say("Merged commits")
    for line in log.lines:
        say(f"  {line}")
    say("\nArtifacts")
    print_table(("bytes", "path"), [(a.size, a.path) for a in view.run.artifacts])
    await _prove(client, view, took)
    return view


async def _prove(client: ServiceClient, view: RunView, took: float) -> None:
    """Print the verification and raise `Failed` unless all is merged and the chain holds."""
    lines = [line async for line in client.lines(api.EXPORT)]
    offline = verify_lines(lines)
    online = await client.call(api.VERIFY_CHAIN)
    merged = sum(1 for order in view.orders if order.phase is OrderPhase.INTEGRATED)
    say(f"\n{merged} of {len(view.orders)} orders merged in {took:.1f} s; the run is {view.run.status}")
    say(
        f"ledger: {online.events} events, chain {'holds' if online.ok else 'BROKEN'} in the service,"
        f" {'holds' if offline.ok else 'BROKEN'} in an export checked on its own"
    )
    if not (online.ok and offline.ok):
        raise Failed(f"the chain is broken: {online.reason or offline.reason}")
    if view.run.status is not RunStatus.COMPLETE or merged != len(view.orders) or merged == 0:
        raise Failed(f"not everything was merged: {view.run.reason}")


async def _show_feed(port: int, view: RunView) -> None:
    """Print the run's own milestones from openclawdbot's feed; the fleet tells them without being asked."""
    url = f"http://127.0.0.1:{port}{LATEST_MILESTONES.path}?limit={_FEED_MAX}"
    subjects = {view.run.run_id, *(order.order_id for order in view.orders)}
    wanted = min(len(subjects), _FEED_MAX)
    claims: list[str] = []
    deadline = time.monotonic() + _FEED_SECONDS
    async with aiohttp.ClientSession() as session:
        while len(claims) < wanted and time.monotonic() < deadline:
            async with session.get(url) as response:
                items = (await response.json())["items"]
            claims = [item["claim"] for item in items if subjects & set(item["claim"].split())]
            await asyncio.sleep(_POLL_SECONDS)
    say("\nMilestones in the feed, newest first")
    for claim in claims:
        say(f"  {claim}")
    if len(claims) < wanted:
        raise Failed(f"{len(claims)} of {wanted} milestones arrived; see: ironclaw milestones list")
