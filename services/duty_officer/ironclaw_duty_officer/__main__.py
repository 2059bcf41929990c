"""`python -m ironclaw_duty_officer` runs the service; with `migrate` it updates the schema and ends."""

from importlib.resources import files

from ironclaw_chassis.serve import run_service
from ironclaw_contracts.enums import Service
from ironclaw_duty_officer.settings import Settings

run_service(
    Service.DUTY_OFFICER, Settings, "ironclaw_duty_officer.app", files("ironclaw_duty_officer") / "migrations"
)
