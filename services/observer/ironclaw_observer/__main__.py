"""`python -m ironclaw_observer` runs the service."""

from ironclaw_chassis.serve import serve
from ironclaw_contracts.enums import Service
from ironclaw_observer.app import compose
from ironclaw_observer.settings import Settings

serve(Service.OBSERVER, Settings, compose)
