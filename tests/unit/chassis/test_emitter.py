"""How a delivery is told to have gone, by a receiver that really answers, or does not."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from ironclaw_chassis.emitter import Emitter
from ironclaw_contracts.canonical import parse
from ironclaw_contracts.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, is_signed
from ironclaw_fleet.ports import free_port

SECRET = "a shared secret"
ANSWERS: dict[str, tuple[int, str]] = {
    "/accepted": (200, '{"ok":true,"status":"accepted"}'),
    "/duplicate": (200, '{"ok":true,"status":"duplicate"}'),
    "/refused": (401, '{"ok":false,"reason":"invalid signature"}'),
    "/limited": (429, '{"ok":false,"reason":"slow down"}'),
    "/redirect": (302, "{}"),
    "/broken": (500, '{"ok":false,"reason":"broken"}'),
    "/proxy": (502, "<html>bad gateway</html>"),
    "/no-json": (200, "fine"),
    "/away": (503, '{"ok":false,"reason":"the store is away"}'),
    "/away-proxy": (503, "<html>no server</html>"),
}


@pytest.fixture
async def receiver() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/silent":
            await asyncio.sleep(60)
        if not is_signed(request.headers[SIGNATURE_HEADER], parse(await request.read()), [SECRET]):
            return web.Response(status=400, text="{}")
        assert request.headers[TIMESTAMP_HEADER].endswith("Z")
        status, text = ANSWERS[request.path]
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_post("/{path}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "outcome"),
    [
        ("/accepted", "delivered"),
        ("/duplicate", "duplicate"),
        ("/refused", "rejected"),
        ("/limited", "rejected"),
        ("/redirect", "failed"),
        ("/broken", "failed"),
        ("/proxy", "failed"),
        ("/no-json", "failed"),
        ("/away", "away"),
        ("/away-proxy", "away"),
        ("/silent", "away"),
    ],
)
async def test_given_an_answer_when_sent_then_a_4xx_is_final_and_an_outage_uses_up_no_try(
    receiver: str, path: str, outcome: str
) -> None:
    async with Emitter(receiver, timeout_seconds=1.0 if path == "/silent" else 20.0) as emitter:
        sent = await emitter.send(path, {"idempotencyKey": "é-1", "event": {"b": 1.0, "a": []}}, SECRET)
    assert sent.outcome == outcome, sent


async def test_given_nobody_who_listens_when_sent_then_nothing_was_tried() -> None:
    async with Emitter(f"http://127.0.0.1:{free_port()}") as emitter:
        assert (await emitter.send("/x", {}, SECRET)).outcome == "away"
    with pytest.raises(RuntimeError):
        await Emitter("http://127.0.0.1:1").send("/x", {}, SECRET)
