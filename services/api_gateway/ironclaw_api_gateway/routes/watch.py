"""The watchdogs as operators use them: patrols, audits, escalations, recovery, salvaged work."""

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import co, duty_officer, ledger, observer, sentinel, vault


def add_watch_routes(routes: Routes, client: ServiceClient) -> None:
    """Register what operators do about the watchdogs."""

    @routes.serve(api.PATROL_THEATER)
    async def patrol_theater(call: Call[Nothing, Nothing]) -> observer.TheaterPatrol:
        return await client.call(observer.PATROL_THEATER, theater_id=call.path["theater_id"])

    @routes.serve(api.PATROL)
    async def patrol(_: Call[Nothing, Nothing]) -> duty_officer.Patrol:
        return await client.call(duty_officer.PATROL)

    @routes.serve(api.GET_GRADES)
    async def get_grades(call: Call[Nothing, duty_officer.GradesQuery]) -> duty_officer.Grades:
        return await client.call(duty_officer.GET_GRADES, query=call.query)

    @routes.serve(api.RECOVER_ORDER)
    async def recover_order(call: Call[Nothing, Nothing]) -> duty_officer.Intervention:
        return await client.call(duty_officer.RECOVER_ORDER, order_id=call.path["order_id"])

    @routes.serve(api.AUDIT)
    async def audit(_: Call[Nothing, Nothing]) -> sentinel.Audit:
        return await client.call(sentinel.AUDIT)

    @routes.serve(api.LIST_ESCALATIONS)
    async def list_escalations(call: Call[Nothing, ledger.EscalationsQuery]) -> ledger.EscalationPage:
        return await client.call(ledger.LIST_ESCALATIONS, query=call.query)

    @routes.serve(api.ACK_ESCALATION)
    async def ack_escalation(call: Call[api.AckRequest, Nothing]) -> co.Acknowledged:
        ack = co.Acknowledgement(acked_by=call.caller.name, note=call.body.note)
        return await client.call(co.ACK_ESCALATION, ack, escalation_id=call.path["escalation_id"])

    @routes.serve(api.LIST_SALVAGE)
    async def list_salvage(call: Call[Nothing, AsOfQuery]) -> vault.SalvageList:
        return await client.call(vault.LIST_SALVAGE, query=call.query, theater_id=call.path["theater_id"])

    @routes.serve(api.SHOW_SALVAGE)
    async def show_salvage(call: Call[Nothing, vault.SalvageQuery]) -> vault.SalvageDetail:
        return await client.call(vault.SHOW_SALVAGE, query=call.query, order_id=call.path["order_id"])

    @routes.serve(api.RESTORE_SALVAGE)
    async def restore_salvage(call: Call[vault.Restoration, Nothing]) -> vault.Restored:
        return await client.call(vault.RESTORE_SALVAGE, call.body, order_id=call.path["order_id"])
