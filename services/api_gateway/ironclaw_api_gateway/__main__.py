"""`python -m ironclaw_api_gateway` runs the service; with `migrate` it updates the schema and ends."""

from importlib.resources import files

from ironclaw_api_gateway.settings import Settings
from ironclaw_chassis.serve import run_service
from ironclaw_contracts.enums import Service

run_service(
    Service.API_GATEWAY, Settings, "ironclaw_api_gateway.app", files("ironclaw_api_gateway") / "migrations"
)
