"""Any MCP client drives the fleet with an API key: chat, run, order, artifact, escalations."""

import json
from typing import Any

import aiohttp
import pytest
from mcp import Client

from tests.support.fleet import FleetUnderTest
from tests.support.mcp_client import connected


async def told(client: Client, tool: str, **arguments: Any) -> Any:
    made = await client.call_tool(tool, arguments)
    assert not made.is_error, made.content
    assert json.loads(made.content[0].text) == made.structured_content
    return made.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    made = await client.call_tool(tool, arguments)
    assert made.is_error
    return made.content[0].text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_given_an_api_key_when_an_mcp_client_chats_then_it_can_follow_the_work_to_its_artifact(
    fleet: FleetUnderTest, mode: str
) -> None:
    async with connected(f"{fleet.url}/mcp", fleet.operator_key, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"chat", "run", "order", "artifact", "escalations"}
        assert tools["chat"].input_schema["required"] == ["message"]
        answer = await told(client, "chat", message="summarize: one thing. another thing.")
        assert answer["status"] == "COMPLETE" and answer["reply"]
        run = await told(client, "run", run_id=answer["run_id"])
        (order,) = run["orders"]
        assert order["phase"] == "INTEGRATED"
        view = await told(client, "order", order_id=order["order_id"])
        path = view["order"]["artifacts"][0]["path"]
        artifact = await told(client, "artifact", order_id=order["order_id"], path=path)
        assert artifact["encoding"] == "utf-8" and artifact["content"]
        assert "escalations" in await told(client, "escalations")


async def test_given_bad_arguments_or_too_little_authority_when_a_tool_is_called_then_the_reason_is_told(
    fleet: FleetUnderTest,
) -> None:
    user_key = fleet.cli_json("keys", "create", "mcp-user", "--role", "user")["secret"]
    async with connected(f"{fleet.url}/mcp", user_key) as client:
        assert "message" in await refused(client, "chat", message="")
        assert "message" in await refused(client, "chat")
        assert "run_id" in await refused(client, "run", run_id="../x")
        assert "NOT_FOUND" in await refused(client, "run", run_id="none")
        assert "NOT_FOUND" in await refused(client, "artifact", order_id="none", path="a.md")
        assert "FORBIDDEN" in await refused(client, "escalations")
    async with aiohttp.ClientSession() as session:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        for headers in ({}, {"Authorization": "Bearer ick_wrong"}):
            async with session.post(f"{fleet.url}/mcp", json=body, headers=headers) as response:
                assert response.status == 401
                assert (await response.json())["error"]["code"] == "UNAUTHENTICATED"
