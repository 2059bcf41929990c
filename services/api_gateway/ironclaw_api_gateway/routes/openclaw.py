"""The OpenClaw validator, for operators."""

from collections.abc import AsyncIterator

from ironclaw_api_gateway.following import Following
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import Call, Routes, StreamEvent
from ironclaw_contracts.endpoint import Done, Nothing
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import openclawdbot_proof as proof
from ironclaw_contracts.poi.receipts import Receipt


def add_openclaw_routes(routes: Routes, client: ServiceClient, following: Following) -> None:
    """Register what operators do with nodes, intents and reviews."""

    @routes.serve(api.LIST_NODES)
    async def list_nodes(_: Call[Nothing, Nothing]) -> proof.Nodes:
        return await client.call(proof.LIST_NODES)

    @routes.stream(api.FOLLOW_NODES)
    async def follow_nodes(_: Call[Nothing, Nothing]) -> AsyncIterator[StreamEvent]:
        return await following.relay(client.lines(proof.STREAM_NODES))

    @routes.serve(api.GET_REPUTATION)
    async def get_reputation(call: Call[Nothing, Nothing]) -> proof.ReputationView:
        return await client.call(proof.GET_REPUTATION, node_id=call.path["node_id"])

    @routes.serve(api.REGISTER_NODE)
    async def register_node(call: Call[proof.Registration, Nothing]) -> Done:
        return await client.call(proof.REGISTER_NODE, call.body)

    @routes.serve(api.RETIRE_KEY)
    async def retire_key(call: Call[proof.Retirement, Nothing]) -> Done:
        return await client.call(proof.RETIRE_KEY, call.body, node_id=call.path["node_id"])

    @routes.serve(api.GET_INTENT)
    async def get_intent(call: Call[Nothing, Nothing]) -> proof.IntentView:
        return await client.call(proof.GET_INTENT, intent_id=call.path["intent_id"])

    @routes.serve(api.LIST_REVIEWS)
    async def list_reviews(_: Call[Nothing, Nothing]) -> proof.Audited:
        return await client.call(proof.LIST_REVIEWS)

    @routes.serve(api.DECIDE_REVIEW)
    async def decide_review(call: Call[proof.ReviewDecision, Nothing]) -> Receipt:
        decision = proof.ReviewDecision(call.body.decision, call.caller.name)
        return await client.call(proof.DECIDE_REVIEW, decision, ack_id=call.path["ack_id"])

    @routes.serve(api.GET_VALIDATOR)
    async def get_validator(_: Call[Nothing, Nothing]) -> proof.ValidatorView:
        return await client.call(proof.GET_VALIDATOR)

    @routes.serve(api.READ_AUDIT)
    async def read_audit(call: Call[Nothing, proof.AuditQuery]) -> proof.AuditPage:
        return await client.call(proof.READ_AUDIT, query=call.query)
