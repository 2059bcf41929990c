"""HTTP in, HTTP out."""

from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import duty_officer as api
from ironclaw_contracts.enums import Service
from ironclaw_duty_officer.grading import Grading
from ironclaw_patrol.patrol import Patroller


def build_routes(patroller: Patroller, grading: Grading) -> Routes:
    """Return the duty officer's routes."""
    routes = Routes(Service.DUTY_OFFICER)

    @routes.serve(api.PATROL)
    async def patrol(_: Call[Nothing, Nothing]) -> api.Patrol:
        return await patroller.patrol()

    @routes.serve(api.RECOVER_ORDER)
    async def recover_order(call: Call[Nothing, Nothing]) -> api.Intervention:
        return await patroller.recover(call.path["order_id"])

    @routes.serve(api.GET_GRADES)
    async def get_grades(call: Call[Nothing, api.GradesQuery]) -> api.Grades:
        return await grading.grades(call.query)

    return routes
