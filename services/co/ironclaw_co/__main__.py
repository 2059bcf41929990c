"""`python -m ironclaw_co` runs the service; with `migrate` it updates the schema and ends."""

from importlib.resources import files

from ironclaw_chassis.serve import run_service
from ironclaw_co.settings import Settings
from ironclaw_contracts.enums import Service

run_service(Service.CO, Settings, "ironclaw_co.app", files("ironclaw_co") / "migrations")
