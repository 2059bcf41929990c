"""Figures of the queue and of the outbox, which co fills."""

from ironclaw_chassis.metrics import gauge
from ironclaw_chassis.queue import ArqQueue
from ironclaw_co.parts import Parts

QUEUE_JOBS = gauge("ironclaw_queue_jobs", "Jobs that no worker has taken yet.")
QUEUE_OLDEST = gauge("ironclaw_queue_oldest_seconds", "How long the oldest of them has waited.")
OUTBOX_OPEN = gauge("ironclaw_outbox_open", "Records that are not delivered yet.")


async def read_queue(queue: ArqQueue) -> None:
    """Set the gauges of the queue."""
    backlog = await queue.backlog()
    QUEUE_JOBS.set(backlog.jobs)
    QUEUE_OLDEST.set(backlog.oldest_seconds)


async def read_outbox(parts: Parts) -> None:
    """Set the gauge of the outbox."""
    OUTBOX_OPEN.set(await parts.undelivered())
