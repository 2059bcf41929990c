"""Every endpoint of the fleet, one module a service; `ALL` is the whole surface."""

from typing import Any

from ironclaw_contracts.endpoint import Endpoint
from ironclaw_contracts.endpoints import (
    api_gateway,
    co,
    duty_officer,
    integration,
    learning,
    ledger,
    observer,
    openclawdbot,
    sentinel,
    vault,
    worker,
)
from ironclaw_contracts.enums import Service

ALL: dict[Service, tuple[Endpoint[Any, Any, Any], ...]] = {
    Service.API_GATEWAY: api_gateway.ENDPOINTS,
    Service.CO: co.ENDPOINTS,
    Service.DUTY_OFFICER: duty_officer.ENDPOINTS,
    Service.INTEGRATION: integration.ENDPOINTS,
    Service.LEARNING: learning.ENDPOINTS,
    Service.LEDGER: ledger.ENDPOINTS,
    Service.OBSERVER: observer.ENDPOINTS,
    Service.OPENCLAWDBOT: openclawdbot.ENDPOINTS,
    Service.SENTINEL: sentinel.ENDPOINTS,
    Service.VAULT: vault.ENDPOINTS,
    Service.WORKER: worker.ENDPOINTS,
}
