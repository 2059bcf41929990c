"""`python -m ironclaw_co` runs the service."""

from ironclaw_chassis.serve import serve
from ironclaw_co.app import compose
from ironclaw_co.settings import Settings
from ironclaw_contracts.enums import Service

serve(Service.CO, Settings, compose)
