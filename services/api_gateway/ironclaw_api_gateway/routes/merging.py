"""What operators do about merges: gates, their outputs, approvals, a merge by hand."""

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import Call, FileAnswer, Routes
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import integration


def add_merging_routes(routes: Routes, client: ServiceClient) -> None:
    """Register what integration answers to operators."""

    @routes.serve(api.INTEGRATE)
    async def integrate(call: Call[integration.IntegrationRequest, Nothing]) -> integration.IntegrationAnswer:
        return await client.call(integration.INTEGRATE, call.body)

    @routes.serve(api.SHOW_GATES)
    async def show_gates(call: Call[Nothing, AsOfQuery]) -> integration.TheaterGates:
        return await client.call(integration.SHOW_GATES, query=call.query, theater_id=call.path["theater_id"])

    @routes.serve(api.PROVE_GATES)
    async def prove_gates(call: Call[Nothing, Nothing]) -> integration.TheaterGates:
        return await client.call(integration.PROVE_GATES, theater_id=call.path["theater_id"])

    @routes.file(api.READ_OUTPUT)
    async def read_output(call: Call[Nothing, Nothing]) -> FileAnswer:
        output_id = call.path["output_id"]
        content = await client.call(integration.READ_OUTPUT, output_id=output_id)
        return FileAnswer(content=content, name=f"{output_id[:12]}.txt")

    @routes.serve(api.DECIDE)
    async def decide(call: Call[api.DecisionRequest, Nothing]) -> integration.Decided:
        decision = integration.Decision(
            approved=call.body.approved, decided_by=call.caller.name, note=call.body.note
        )
        return await client.call(integration.DECIDE, decision, order_id=call.path["order_id"])

    @routes.serve(api.REPORT_FIGURES)
    async def report_figures(_: Call[Nothing, Nothing]) -> integration.ReportFigures:
        return await client.call(integration.REPORT_FIGURES)

    @routes.serve(api.GET_WEATHER)
    async def get_weather(call: Call[Nothing, Nothing]) -> integration.Weather:
        return await client.call(integration.GET_WEATHER, theater_id=call.path["theater_id"])
