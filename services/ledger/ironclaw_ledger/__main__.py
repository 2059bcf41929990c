"""`python -m ironclaw_ledger` runs the service; with `migrate` it brings the schema up to date and ends."""

from importlib.resources import files

from ironclaw_chassis.serve import run_service
from ironclaw_contracts.enums import Service
from ironclaw_ledger.settings import Settings

run_service(Service.LEDGER, Settings, "ironclaw_ledger.app", files("ironclaw_ledger") / "migrations")
