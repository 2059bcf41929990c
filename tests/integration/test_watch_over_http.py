"""The watchdogs' surface at the gateway: what an operator may, what a user may not, and clear refusals."""

import pytest

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.access import KeyRequest
from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EscalationsQuery
from ironclaw_contracts.endpoints.vault import Restoration, TheaterRequest
from ironclaw_contracts.enums import Severity
from ironclaw_contracts.errors import Conflict, Forbidden, NotFound
from ironclaw_fleet.cli.session import GatewayAddress, KeyCredentials
from tests.support.fleet import FleetUnderTest
from tests.support.waiting import ended

WATCH: dict[Endpoint, tuple[object, dict[str, str]]] = {
    api.LIST_ESCALATIONS: (None, {}),
    api.ACK_ESCALATION: (api.AckRequest(), {"escalation_id": "none"}),
    api.RECOVER_ORDER: (None, {"order_id": "none"}),
    api.LIST_SALVAGE: (None, {"theater_id": "none"}),
    api.SHOW_SALVAGE: (None, {"order_id": "none"}),
    api.RESTORE_SALVAGE: (Restoration(), {"order_id": "none"}),
    api.GET_GRADES: (None, {}),
    api.AUDIT: (None, {}),
    api.PATROL: (None, {}),
}


async def test_given_a_user_when_the_watchdogs_are_called_then_every_call_is_refused(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as operator:
        secret = (await operator.call(api.CREATE_KEY, KeyRequest("just-a-user"))).secret
    async with ServiceClient(KeyCredentials(secret), GatewayAddress(fleet.url)) as user:
        for endpoint, (body, path) in WATCH.items():
            with pytest.raises(Forbidden):
                await user.call(endpoint, body, **path)


async def test_given_names_of_nothing_when_asked_about_then_each_says_what_there_is_not(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as operator:
        for endpoint, (body, path) in WATCH.items():
            if path:
                with pytest.raises(NotFound, match="there is no"):
                    await operator.call(endpoint, body, **path)
        page = await operator.call(
            api.LIST_ESCALATIONS, query=EscalationsQuery(severity=Severity.LOW, limit=1)
        )
        assert all(e.severity is Severity.LOW for e in page.escalations)


async def test_given_merged_work_when_recovered_or_salvaged_then_there_is_nothing_to_do(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as operator:
        await operator.call(api.OPEN_THEATER, TheaterRequest(theater_id="calm"))
        chat = api.ChatRequest(message="write a line", theater_hint="calm", mode="async")
        view = await ended(operator, (await operator.call(api.CHAT, chat)).run_id)
        order_id = view.orders[0].order_id
        with pytest.raises(Conflict, match="nothing to recover"):
            await operator.call(api.RECOVER_ORDER, order_id=order_id)
        with pytest.raises(NotFound, match="nothing is kept"):
            await operator.call(api.SHOW_SALVAGE, order_id=order_id)
        assert (await operator.call(api.LIST_SALVAGE, theater_id="calm")).salvage == []
