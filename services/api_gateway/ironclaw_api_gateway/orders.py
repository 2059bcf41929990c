"""An order's files and changes, read from the commits that its events name."""

from pathlib import PurePosixPath

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import FileAnswer
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoints import ledger, vault
from ironclaw_contracts.errors import NotFound
from ironclaw_contracts.snapshots import OrderSnapshot


class Orders:
    """Reads what an order produced."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def artifact(self, order_id: str, path: str, as_of: str | None = None) -> FileAnswer:
        """Return an artifact, now or as of then. Raises `NotFound` for a path that is not reported."""
        query = AsOfQuery(as_of)
        order = (await self._client.call(ledger.GET_ORDER, query=query, order_id=order_id)).order
        if not any(artifact.path == path for artifact in order.artifacts):
            raise NotFound(f"order {order.order_id} has no artifact {path!r}")
        return await self.file(order, path)

    async def file(self, order: OrderSnapshot, path: str) -> FileAnswer:
        """Return a file of the order's commit. Raises `NotFound` before there is one."""
        # The unit's own commit is what the artifact's hash was taken of; a merge may have changed the file.
        commit = order.commit_sha or order.merge_commit
        if commit is None:
            raise NotFound(f"order {order.order_id} has no artifact {path!r}: it has no commit yet")
        query = vault.FileQuery(path=path, commit=commit)
        content = await self._client.call(vault.READ_FILE, query=query, theater_id=order.theater_id)
        return FileAnswer(content=content, name=PurePosixPath(path).name)

    async def diff(self, order: OrderSnapshot) -> vault.Diff:
        """Return what the order changed: its merge, or its commit while it is not merged.

        Raises `NotFound` while it has no commit.
        """
        if order.merge_commit is not None:
            query = vault.DiffQuery(commit=order.merge_commit)
        elif order.commit_sha is not None and order.worktree is not None:
            query = vault.DiffQuery(commit=order.commit_sha, base=order.worktree.base_commit)
        else:
            raise NotFound(f"order {order.order_id} has no commit yet")
        return await self._client.call(vault.READ_DIFF, query=query, theater_id=order.theater_id)
