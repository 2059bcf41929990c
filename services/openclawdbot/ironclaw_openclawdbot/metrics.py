"""Figures of the nodes, and of what arrives."""

from collections import Counter as Count

from ironclaw_chassis.metrics import counter, gauge
from ironclaw_contracts.poi.messages import STATUSES
from ironclaw_openclawdbot.parts import Parts

MESSAGES = counter(
    "ironclaw_proof_messages_total",
    "Announcements and heartbeats of nodes, by their answer.",
    ("kind", "status"),
)
NODES = gauge("ironclaw_nodes", "Registered nodes; unknown once three heartbeats are missing.", ("status",))


async def read_nodes(parts: Parts) -> None:
    """Set the gauge of the nodes."""
    found = Count(node.status for node in (await parts.proof.nodes()).nodes)
    for status in sorted({*STATUSES, "unknown"}):
        NODES.labels(status).set(found[status])
