"""Artifacts through the gateway: those that an order reported, as its unit wrote them, and no other file."""

import hashlib

import aiohttp
import pytest

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.errors import BadRequest, NotFound
from tests.support.fleet import FleetUnderTest


async def test_given_a_merged_order_when_its_artifacts_are_fetched_then_only_these_and_as_attachments(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client, aiohttp.ClientSession() as session:
        answer = await client.call(api.CHAT, api.ChatRequest(message="Draft a label"))
        order = (await client.call(api.GET_RUN, run_id=answer.run_id)).orders[0]
        artifact = order.artifacts[0]
        url = f"{fleet.url}/orders/{order.order_id}/artifact"
        headers = {"Authorization": f"Bearer {fleet.operator_key}"}
        async with session.get(url, params={"path": artifact.path}, headers=headers) as response:
            content = await response.read()
            assert response.status == 200
            assert response.headers["Content-Disposition"].startswith("attachment;")
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Content-Type"] == "application/octet-stream"
        assert hashlib.sha256(content).hexdigest() == artifact.sha256 and len(content) == artifact.size
        for path in ("aar.json", ".git/config", "outputs", artifact.path + "x"):
            with pytest.raises(NotFound, match="no artifact"):
                query = api.ArtifactQuery(path=path)
                await client.call(api.GET_ARTIFACT, query=query, order_id=order.order_id)
        for path in ("../etc/passwd", "/etc/passwd", "outputs/../aar.json", "a\nb"):
            with pytest.raises(BadRequest, match="path"):
                query = api.ArtifactQuery(path=path)
                await client.call(api.GET_ARTIFACT, query=query, order_id=order.order_id)
        with pytest.raises(NotFound):
            query = api.ArtifactQuery(path=artifact.path)
            await client.call(api.GET_ARTIFACT, query=query, order_id="nobody")


async def test_given_a_run_id_of_the_callers_when_chat_is_repeated_then_one_run_and_another_wish_is_refused(
    fleet: FleetUnderTest,
) -> None:
    from ironclaw_contracts.errors import Conflict

    async with fleet.client() as client:
        request = api.ChatRequest(message="Draft a repeat", run_id="asked-twice")
        first, again = await client.call(api.CHAT, request), await client.call(api.CHAT, request)
        assert first == again and first.reply
        with pytest.raises(Conflict):
            await client.call(api.CHAT, api.ChatRequest(message="Something else", run_id="asked-twice"))
