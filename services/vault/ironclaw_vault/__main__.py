"""`python -m ironclaw_vault` runs the service."""

from ironclaw_chassis.serve import serve
from ironclaw_contracts.enums import Service
from ironclaw_vault.app import compose
from ironclaw_vault.settings import Settings

serve(Service.VAULT, Settings, compose)
