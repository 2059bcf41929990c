"""What the fleet tells the outside, as operators see it: milestones and demand summaries on their way."""

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import co


def add_telling_routes(routes: Routes, client: ServiceClient) -> None:
    """Register what operators do with the outbox."""

    @routes.serve(api.LIST_MILESTONES)
    async def list_milestones(call: Call[Nothing, co.OutboxQuery]) -> co.OutboxPage:
        return await client.call(co.LIST_OUTBOX, query=call.query)

    @routes.serve(api.REDELIVER_MILESTONES)
    async def redeliver_milestones(call: Call[co.Redelivery, Nothing]) -> co.OutboxPage:
        return await client.call(co.REDELIVER, call.body)

    @routes.serve(api.EMIT_MILESTONE)
    async def emit_milestone(call: Call[co.HandMade, Nothing]) -> co.OutboxPage:
        return await client.call(co.EMIT_MILESTONE, call.body)
