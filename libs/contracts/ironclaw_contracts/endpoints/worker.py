"""The worker's endpoint (seed 3.5); jobs usually come from the queue."""

from msgspec import Struct

from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import Id
from ironclaw_contracts.jobs import JobMessage


class JobAccepted(Struct, frozen=True):
    """`queued` is false when the same attempt of the order was in the queue before."""

    order_id: Id
    attempt: int
    queued: bool


SUBMIT_JOB = Endpoint(
    service=Service.WORKER,
    name="submit_job",
    method="POST",
    path="/jobs",
    summary="Queue one order for a unit of this worker.",
    body=JobMessage,
    query=Nothing,
    answer=JobAccepted,
    callers=frozenset({Service.CO, Service.DUTY_OFFICER, Service.API_GATEWAY}),
)
ENDPOINTS = (SUBMIT_JOB,)
