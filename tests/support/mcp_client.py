"""A client of the official MCP SDK, connected over streamable HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


@asynccontextmanager
async def connected(url: str, token: str | None = None, mode: str = "auto") -> AsyncIterator[Client]:
    """Hold a session with the MCP server at a URL, with a bearer token if one is given."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client
