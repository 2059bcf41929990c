"""`python -m ironclaw_co` runs the service."""

from ironclaw_chassis.serve import serve
from ironclaw_contracts.enums import Service

from ironclaw_co.app import compose
from ironclaw_co.settings import Settings

serve(Service.CO, Settings, compose)
