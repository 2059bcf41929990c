"""HTTP in, HTTP out."""

from ironclaw_chassis.queue import JobQueue
from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import worker as api
from ironclaw_contracts.enums import Service
from ironclaw_contracts.jobs import JobMessage


def build_routes(queue: JobQueue) -> Routes:
    """Return the worker's routes."""
    routes = Routes(Service.WORKER)

    @routes.serve(api.SUBMIT_JOB)
    async def submit_job(call: Call[JobMessage, Nothing]) -> api.JobAccepted:
        queued = await queue.enqueue(call.body)
        return api.JobAccepted(order_id=call.body.order_id, attempt=call.body.attempt, queued=queued)

    return routes
