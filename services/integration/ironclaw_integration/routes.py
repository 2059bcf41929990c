"""HTTP in, HTTP out."""

from ironclaw_chassis.reconciler import Reconciler
from ironclaw_chassis.routes import Call, FileAnswer, Routes
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import integration as api
from ironclaw_contracts.enums import Service
from ironclaw_integration.parts import Parts


def build_routes(parts: Parts, reconciler: Reconciler) -> Routes:
    """Return integration's routes."""
    routes = Routes(Service.INTEGRATION)

    @routes.serve(api.INTEGRATE)
    async def integrate(call: Call[api.IntegrationRequest, Nothing]) -> api.IntegrationAnswer:
        return await parts.judging.integrate(call.body)

    @routes.serve(api.TRY_MERGE)
    async def try_merge(call: Call[api.TrialRequest, Nothing]) -> api.Trial:
        return await parts.judging.try_merge(call.body)

    @routes.serve(api.SHOW_GATES)
    async def show_gates(call: Call[Nothing, AsOfQuery]) -> api.TheaterGates:
        return await parts.judging.show_gates(call.path["theater_id"], call.query.as_of)

    @routes.serve(api.PROVE_GATES)
    async def prove_gates(call: Call[Nothing, Nothing]) -> api.TheaterGates:
        proven = await parts.judging.prove(call.path["theater_id"])
        reconciler.nudge(proven.theater_id)
        return proven

    @routes.file(api.READ_OUTPUT)
    async def read_output(call: Call[Nothing, Nothing]) -> FileAnswer:
        digest = call.path["output_id"]
        return FileAnswer(content=await parts.judging.output(digest), name=f"{digest[:12]}.txt")

    @routes.serve(api.DECIDE)
    async def decide(call: Call[api.Decision, Nothing]) -> api.Decided:
        decided = await parts.judging.decide(call.path["order_id"], call.body)
        reconciler.nudge(decided.theater_id)
        return decided

    @routes.serve(api.GET_WEATHER)
    async def get_weather(call: Call[Nothing, Nothing]) -> api.Weather:
        return await parts.forecast.look(call.path["theater_id"])

    @routes.serve(api.REPORT_FIGURES)
    async def report_figures(_: Call[Nothing, Nothing]) -> api.ReportFigures:
        return await parts.judging.figures()

    return routes
