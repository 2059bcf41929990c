"""`python -m ironclaw_openclawdbot` runs the service; with `migrate` it updates the schema and ends."""

from importlib.resources import files

from ironclaw_chassis.serve import run_service
from ironclaw_contracts.enums import Service
from ironclaw_openclawdbot.settings import Settings

run_service(
    Service.OPENCLAWDBOT,
    Settings,
    "ironclaw_openclawdbot.app",
    files("ironclaw_openclawdbot") / "migrations",
)
