"""Signed deliveries to the fleet's own openclawdbot."""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from msgspec import Struct

from ironclaw_contracts.canonical import parse
from ironclaw_contracts.enums import Service
from ironclaw_contracts.instants import format_instant
from ironclaw_contracts.signing import SIGNATURE_HEADER, TIMESTAMP_HEADER, sign
from tests.support.fleet import FleetUnderTest


class Reply(Struct, frozen=True):
    status: int
    raw: bytes
    headers: Mapping[str, str]

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Outside:
    """A foreign emitter and a browser."""

    def __init__(self, session: aiohttp.ClientSession, url: str, secret: str) -> None:
        self.session, self.url, self.secret = session, url, secret

    async def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Reply:
        async with self.session.post(self.url + path, data=body, headers=headers or {}) as response:
            return Reply(response.status, await response.read(), response.headers)

    async def send(self, path: str, value: dict[str, Any], **headers: str) -> Reply:
        body = json.dumps(value, ensure_ascii=False).encode()
        return await self.post(path, body, self.signed(body) | headers)

    def signed(self, body: bytes) -> dict[str, str]:
        now = format_instant(datetime.now(UTC))
        return {SIGNATURE_HEADER: sign(self.secret, parse(body)), TIMESTAMP_HEADER: now}

    async def get(self, path: str, **headers: str) -> Reply:
        async with self.session.get(self.url + path, headers=headers) as response:
            return Reply(response.status, await response.read(), response.headers)


@pytest.fixture
async def outside(fleet: FleetUnderTest) -> AsyncIterator[Outside]:
    secret = fleet.state.signing_secrets.read_text().split(",")[0]
    url = f"http://127.0.0.1:{fleet.port_of(Service.OPENCLAWDBOT)}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=64)) as session:
        yield Outside(session, url, secret)
