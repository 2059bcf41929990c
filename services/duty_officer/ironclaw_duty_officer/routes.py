"""HTTP in, HTTP out."""

from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import duty_officer as api
from ironclaw_contracts.endpoints import duty_officer_relay as relay_api
from ironclaw_contracts.enums import Service
from ironclaw_duty_officer.grading import Grading
from ironclaw_duty_officer.relay.parts import Relay
from ironclaw_patrol.patrol import Patroller


def build_routes(patroller: Patroller, grading: Grading, relay: Relay) -> Routes:
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

    @routes.serve(relay_api.RELAY_HEARTBEAT)
    async def relay_heartbeat(call: Call[relay_api.Relayed, Nothing]) -> relay_api.RelayedAck:
        return relay_api.RelayedAck(await relay.heartbeats.take(call.body.message))

    @routes.serve(relay_api.RELAY_INTENT)
    async def relay_intent(call: Call[relay_api.Relayed, Nothing]) -> relay_api.RelayedIntent:
        return await relay.intents.take(call.body.message)

    @routes.serve(relay_api.GET_RELAYED_INTENT)
    async def get_relayed_intent(call: Call[Nothing, Nothing]) -> relay_api.RelayedIntent:
        return await relay.intents.newest(call.path["intent_id"])

    @routes.serve(relay_api.GET_RELAY)
    async def get_relay(_: Call[Nothing, Nothing]) -> relay_api.RelayView:
        return await relay.view()

    return routes
