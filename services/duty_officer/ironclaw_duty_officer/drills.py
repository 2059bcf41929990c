"""The drill on a schedule: a run in a scratch theater whose units commit one fault each."""

import structlog

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.drills import DRILL, DRILL_BUDGET_SECONDS, DRILL_OBJECTIVE, DRILL_THEATER
from ironclaw_contracts.endpoints import co, vault

log = structlog.get_logger()


async def start_drill(client: ServiceClient) -> None:
    """Begin a drill."""
    await client.call(vault.OPEN_THEATER, vault.TheaterRequest(theater_id=DRILL_THEATER))
    request = co.RunRequest(
        user_id="duty_officer",
        objective=DRILL_OBJECTIVE,
        theater_hint=DRILL_THEATER,
        playbook=DRILL,
        constraints=Constraints(budget_seconds=DRILL_BUDGET_SECONDS),
        on_order_failure="continue",
    )
    run = await client.call(co.CREATE_RUN, request)
    log.info("drill begun", run_id=run.run_id)
