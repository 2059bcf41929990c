"""Readiness of the fleet's services, as the gateway sees it now."""

import asyncio

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.endpoints.api_gateway import FleetStatus, ServiceStatus
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Problem
from ironclaw_contracts.health import readiness_endpoint

_READY_SECONDS = 2.0


async def fleet_status(client: ServiceClient) -> FleetStatus:
    """Ask every other service at once."""
    others = [service for service in ALL if service is not Service.API_GATEWAY]
    return FleetStatus(services=await asyncio.gather(*(_status(client, service) for service in others)))


async def _status(client: ServiceClient, service: Service) -> ServiceStatus:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            await client.call(readiness_endpoint(service))
    except (Problem, TimeoutError) as error:
        return ServiceStatus(service=service.value, ready=False, detail=str(error) or "no answer in time")
    return ServiceStatus(service=service.value, ready=True, detail="ready")
