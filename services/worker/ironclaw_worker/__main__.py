"""`python -m ironclaw_worker` runs the service."""

from ironclaw_chassis.serve import serve
from ironclaw_contracts.enums import Service
from ironclaw_worker.app import compose
from ironclaw_worker.settings import Settings

serve(Service.WORKER, Settings, compose)
