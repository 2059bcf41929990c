"""HTTP in, HTTP out."""

from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import observer as api
from ironclaw_contracts.enums import Service
from ironclaw_observer.watch import Watch


def build_routes(watch: Watch) -> Routes:
    """Return the observer's routes."""
    routes = Routes(Service.OBSERVER)

    @routes.serve(api.PATROL_THEATER)
    async def patrol_theater(call: Call[Nothing, Nothing]) -> api.TheaterPatrol:
        return await watch.patrol(call.path["theater_id"])

    return routes
