"""Read an order's artifact as its unit wrote it."""

from pathlib import PurePosixPath

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import FileAnswer
from ironclaw_contracts.endpoints import ledger, vault
from ironclaw_contracts.errors import NotFound


async def read_artifact(client: ServiceClient, order_id: str, path: str) -> FileAnswer:
    """Return an artifact's bytes. Raises `NotFound` when the order has none at that path."""
    order = (await client.call(ledger.GET_ORDER, order_id=order_id)).order
    artifact = next((a for a in order.artifacts if a.path == path), None)
    # The unit's own commit is what the artifact's hash was taken of; a merge may have changed the file.
    commit = order.commit_sha or order.merge_commit
    if artifact is None or commit is None:
        raise NotFound(f"order {order_id} has no artifact {path!r}")
    query = vault.FileQuery(path=artifact.path, commit=commit)
    content = await client.call(vault.READ_FILE, query=query, theater_id=order.theater_id)
    return FileAnswer(content=content, name=PurePosixPath(artifact.path).name)
