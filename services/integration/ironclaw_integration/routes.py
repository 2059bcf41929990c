"""HTTP in, HTTP out."""

from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import integration as api
from ironclaw_contracts.enums import Service
from ironclaw_integration.merge_queue import MergeQueue


def build_routes(queue: MergeQueue) -> Routes:
    """Return integration's routes."""
    routes = Routes(Service.INTEGRATION)

    @routes.serve(api.INTEGRATE)
    async def integrate(call: Call[api.IntegrationRequest, Nothing]) -> api.IntegrationAnswer:
        return await queue.integrate(call.body)

    @routes.serve(api.TRY_MERGE)
    async def try_merge(call: Call[api.TrialRequest, Nothing]) -> api.Trial:
        return await queue.try_merge(call.body)

    return routes
