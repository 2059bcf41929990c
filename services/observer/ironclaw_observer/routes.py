"""HTTP in, HTTP out."""

from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import observer as api
from ironclaw_contracts.enums import Service
from ironclaw_observer.late import LateResults
from ironclaw_observer.watch import Watch


def build_routes(watch: Watch, late: LateResults) -> Routes:
    """Return the observer's routes."""
    routes = Routes(Service.OBSERVER)

    @routes.serve(api.PATROL_THEATER)
    async def patrol_theater(call: Call[Nothing, Nothing]) -> api.TheaterPatrol:
        return await watch.patrol(call.path["theater_id"])

    @routes.serve(api.INSPECT_ORDER)
    async def inspect_order(call: Call[Nothing, Nothing]) -> api.Inspection:
        return await late.inspect(call.path["order_id"])

    return routes
