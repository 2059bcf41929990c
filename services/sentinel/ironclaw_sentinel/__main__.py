"""`python -m ironclaw_sentinel` runs the service."""

from ironclaw_chassis.serve import serve
from ironclaw_contracts.enums import Service
from ironclaw_sentinel.app import compose
from ironclaw_sentinel.settings import Settings

serve(Service.SENTINEL, Settings, compose)
