"""`python -m ironclaw_integration` runs the service."""

from ironclaw_chassis.serve import serve
from ironclaw_contracts.enums import Service
from ironclaw_integration.app import compose
from ironclaw_integration.settings import Settings

serve(Service.INTEGRATION, Settings, compose)
