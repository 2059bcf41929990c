"""`python -m ironclaw_learning` runs the service; with `migrate` it updates the schema and ends."""

from importlib.resources import files

from ironclaw_chassis.serve import run_service
from ironclaw_contracts.enums import Service
from ironclaw_learning.settings import Settings

run_service(Service.LEARNING, Settings, "ironclaw_learning.app", files("ironclaw_learning") / "migrations")
