"""The validator over HTTP: what nodes send, what readers ask, what operators decide."""

from collections.abc import AsyncIterator

import msgspec

from ironclaw_chassis.foreign import ForeignAnswer, ForeignCall
from ironclaw_chassis.routes import Call, Routes, StreamEvent
from ironclaw_contracts.endpoint import Done, Nothing
from ironclaw_contracts.endpoints import openclawdbot_proof as api
from ironclaw_contracts.envelope import failure
from ironclaw_contracts.errors import Problem
from ironclaw_contracts.poi.receipts import Receipt
from ironclaw_openclawdbot.metrics import MESSAGES
from ironclaw_openclawdbot.parts import Parts


def add_proof_routes(routes: Routes, parts: Parts) -> None:
    """Register the validator's endpoints."""

    @routes.foreign(api.ANNOUNCE)
    async def announce(call: ForeignCall) -> ForeignAnswer:
        return await _answered(call, parts, "announce")

    @routes.foreign(api.HEARTBEAT)
    async def heartbeat(call: ForeignCall) -> ForeignAnswer:
        return await _answered(call, parts, "heartbeat")

    @routes.serve(api.GET_VALIDATOR)
    async def get_validator(_: Call[Nothing, Nothing]) -> api.ValidatorView:
        validator_id = parts.validator.validator_id
        return api.ValidatorView(validator_id, validator_id.replace("did:oc:", "did:key:", 1))

    @routes.serve(api.LIST_NODES)
    async def list_nodes(_: Call[Nothing, Nothing]) -> api.Nodes:
        return await parts.proof.nodes()

    @routes.stream(api.STREAM_NODES)
    async def stream_nodes(_: Call[Nothing, Nothing]) -> AsyncIterator[StreamEvent]:
        return await parts.watch.follow()

    @routes.serve(api.GET_REPUTATION)
    async def get_reputation(call: Call[Nothing, Nothing]) -> api.ReputationView:
        return await parts.proof.reputation(call.path["node_id"])

    @routes.serve(api.GET_INTENT)
    async def get_intent(call: Call[Nothing, Nothing]) -> api.IntentView:
        return await parts.proof.intent(call.path["intent_id"])

    @routes.serve(api.LIST_CAMPAIGN)
    async def list_campaign(call: Call[Nothing, Nothing]) -> api.Audited:
        return await parts.proof.campaign(call.path["campaign_id"])

    @routes.serve(api.REGISTER_NODE)
    async def register_node(call: Call[api.Registration, Nothing]) -> Done:
        await parts.validator.register(call.body)
        return Done()

    @routes.serve(api.RETIRE_KEY)
    async def retire_key(call: Call[api.Retirement, Nothing]) -> Done:
        await parts.validator.retire(call.path["node_id"], call.body.key_version)
        return Done()

    @routes.serve(api.LIST_REVIEWS)
    async def list_reviews(_: Call[Nothing, Nothing]) -> api.Audited:
        return await parts.proof.reviews()

    @routes.serve(api.DECIDE_REVIEW)
    async def decide_review(call: Call[api.ReviewDecision, Nothing]) -> Receipt:
        return await parts.validator.decide(call.path["ack_id"], call.body.decision, call.body.by)

    @routes.serve(api.READ_AUDIT)
    async def read_audit(call: Call[Nothing, api.AuditQuery]) -> api.AuditPage:
        return await parts.proof.audit(call.query)


async def _answered(call: ForeignCall, parts: Parts, kind: str) -> ForeignAnswer:
    """Answer with the receipt; a bad signature is a signed refusal, a malformed message a 400."""
    if call.body is None:
        return ForeignAnswer(413, msgspec.json.encode(failure("TOO_LARGE", "message: too large")))
    validator = parts.validator
    try:
        made = await (validator.announce if kind == "announce" else validator.heartbeat)(call.body)
    except Problem as problem:
        headers = {"Retry-After": "2"} if problem.status == 503 else {}
        body = msgspec.json.encode(failure(problem.code, problem.message))
        return ForeignAnswer(problem.status, body, headers)
    MESSAGES.labels(kind, made.ack.status).inc()
    return ForeignAnswer(200, msgspec.json.encode(made))
