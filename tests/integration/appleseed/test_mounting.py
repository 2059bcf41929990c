"""The surface in a service of the fleet: beside the service's own endpoints, with the service's health."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import uvicorn

from appleseed_evolution.config import ensure_config
from appleseed_evolution.http.surface import add_appleseed_routes, open_surface
from appleseed_evolution.workspace import Workspace
from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.identity import TokenVerifier
from ironclaw_chassis.routes import Routes
from ironclaw_contracts.enums import Service
from ironclaw_fleet.ports import free_port
from tests.support.appleseed import appleseed, envelope, lines, sample


@asynccontextmanager
async def mounted(folder: Path, keys: Path) -> AsyncIterator[str]:
    """A service of the fleet with the surface over a folder."""
    routes = Routes(Service.LEARNING)
    add_appleseed_routes(routes, open_surface(folder))

    @asynccontextmanager
    async def nothing() -> AsyncIterator[None]:
        yield

    app = create_app(
        routes, ServiceAuthenticator(TokenVerifier.load(Service.LEARNING, keys)), lifespan=nothing
    )
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", ws="none"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


async def test_given_a_service_with_the_surface_when_called_then_it_answers_as_the_contract_says(
    tmp_path: Path, keys_folder: Path
) -> None:
    folder = tmp_path / "appleseed"
    async with mounted(folder, keys_folder) as url, aiohttp.ClientSession(url) as client:
        async with client.post("/v1/ingest", json=sample("runtime_events/sample_batch.json")) as answer:
            assert answer.status == 200 and (await answer.json())["ingested"] == 2
        async with client.post("/v1/ingest", data=b"{") as answer:
            assert answer.status == 400 and (await answer.json()).keys() == {"error"}
        async with client.post("/v1/route", json={"task": "anything"}) as answer:
            assert (await answer.json())["selected_skills"] == []
        async with client.get("/health") as answer:
            assert (await answer.json())["data"]["service"] == "learning"
    audit = appleseed("inspect", "--config", str(folder / "appleseed.toml"), cwd=tmp_path)
    assert '"raw_envelopes": 2' in audit


async def test_given_a_state_directory_that_is_held_when_called_then_503_in_time_and_later_it_is_taken(
    tmp_path: Path, keys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("appleseed_evolution.http.surface._TIMEOUT_SECONDS", 0.2)
    holder = Workspace.open(ensure_config(tmp_path / "appleseed.toml"))
    async with mounted(tmp_path, keys_folder) as url, aiohttp.ClientSession(url) as client:
        with holder.state.locked():
            answers = await asyncio.gather(
                *(client.post("/v1/ingest", json=envelope(f"s-{number}")) for number in range(3))
            )
            assert [answer.status for answer in answers] == [503, 503, 503]
            assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        last = envelope("last")
        async with asyncio.timeout(60):
            while (await client.post("/v1/ingest", json=last)).status != 200:
                await asyncio.sleep(0.05)
    stored = lines(tmp_path / "state" / "runtime_event_envelopes.jsonl")
    assert [e["envelope_id"] for e in stored].count(last["envelope_id"]) == 1


async def test_given_many_calls_at_once_when_sent_then_each_is_stored_once(
    tmp_path: Path, keys_folder: Path
) -> None:
    sent = [envelope(f"s-{number}") for number in range(60)]
    async with mounted(tmp_path, keys_folder) as url, aiohttp.ClientSession(url) as client:

        async def send(payload: object) -> int:
            async with client.post("/v1/ingest", json=payload) as answer:
                return answer.status

        assert set(await asyncio.gather(*(send(payload) for payload in [*sent, *sent]))) == {200}
    stored = lines(tmp_path / "state" / "runtime_event_envelopes.jsonl")
    assert sorted(e["envelope_id"] for e in stored) == sorted(e["envelope_id"] for e in sent)
