"""HTTP in, HTTP out."""

from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import duty_officer as api
from ironclaw_contracts.enums import Service
from ironclaw_duty_officer.patrol import Patroller


def build_routes(patroller: Patroller) -> Routes:
    """Return the duty officer's routes."""
    routes = Routes(Service.DUTY_OFFICER)

    @routes.serve(api.PATROL)
    async def patrol(_: Call[Nothing, Nothing]) -> api.Patrol:
        return await patroller.patrol()

    return routes
