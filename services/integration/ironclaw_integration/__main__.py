"""`python -m ironclaw_integration` runs the service; with `migrate` it updates the schema and ends."""

from importlib.resources import files

from ironclaw_chassis.serve import run_service
from ironclaw_contracts.enums import Service
from ironclaw_integration.settings import Settings

run_service(
    Service.INTEGRATION, Settings, "ironclaw_integration.app", files("ironclaw_integration") / "migrations"
)
