"""What operators do: theaters, the ledger as a whole, the fleet's health, keys."""

from collections.abc import AsyncIterator

from ironclaw_api_gateway.fleet import fleet_status
from ironclaw_api_gateway.parts import Gateway
from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.access import ApiKey, ApiKeys, KeyRequest, NewKey
from ironclaw_contracts.chain import Verification
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import ledger, ledger_proof, vault


def add_operation_routes(routes: Routes, client: ServiceClient, gateway: Gateway) -> None:
    """Register what only operators may call."""

    @routes.serve(api.OPEN_THEATER)
    async def open_theater(call: Call[vault.TheaterRequest, Nothing]) -> vault.Theater:
        return await client.call(vault.OPEN_THEATER, call.body)

    @routes.serve(api.LIST_EVENTS)
    async def list_events(call: Call[Nothing, ledger.EventsQuery]) -> ledger.EventPage:
        return await client.call(ledger.LIST_EVENTS, query=call.query)

    @routes.serve(api.VERIFY_CHAIN)
    async def verify_chain(_: Call[Nothing, Nothing]) -> Verification:
        return await client.call(ledger.VERIFY_CHAIN)

    @routes.lines(api.EXPORT)
    async def export(_: Call[Nothing, Nothing]) -> AsyncIterator[bytes]:
        return await _begun(client.lines(ledger.EXPORT))

    @routes.serve(api.REBUILD)
    async def rebuild(_: Call[Nothing, Nothing]) -> ledger_proof.Rebuilt:
        return await client.call(ledger_proof.REBUILD)

    @routes.serve(api.FLEET)
    async def fleet(_: Call[Nothing, Nothing]) -> api.FleetStatus:
        return await fleet_status(client)

    @routes.serve(api.CREATE_KEY)
    async def create_key(call: Call[KeyRequest, Nothing]) -> NewKey:
        return await gateway.people.create(call.body)

    @routes.serve(api.LIST_KEYS)
    async def list_keys(_: Call[Nothing, Nothing]) -> ApiKeys:
        return await gateway.people.listed()

    @routes.serve(api.REVOKE_KEY)
    async def revoke_key(call: Call[Nothing, Nothing]) -> ApiKey:
        return await gateway.people.revoke(call.path["key_id"])


async def _begun(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Wait for the first line, so that a refusal is answered as one and not as a file that breaks off."""
    return _from(await anext(lines, b""), lines)


async def _from(first: bytes, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for line in lines:
        yield line
