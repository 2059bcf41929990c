"""`python -m ironclaw_duty_officer` runs the service."""

from ironclaw_chassis.serve import serve
from ironclaw_contracts.enums import Service
from ironclaw_duty_officer.app import compose
from ironclaw_duty_officer.settings import Settings

serve(Service.DUTY_OFFICER, Settings, compose)
