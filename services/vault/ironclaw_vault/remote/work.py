"""Let a unit on another machine fetch its base, push its branch, and have the vault's worktree follow."""

import asyncio
import tempfile
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import IO

import structlog

import ironclaw_git
from ironclaw_chassis.authentication import bearer
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.artifacts import ORDER_FILE, STATE_FILE, TASK_FILE
from ironclaw_contracts.endpoints import vault_remote as api
from ironclaw_contracts.enums import OrderPhase, WorktreeState
from ironclaw_contracts.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotReady,
    TooLarge,
    Unavailable,
)
from ironclaw_git import GitService, Repository
from ironclaw_vault.remote.grants import GrantTokens, Scope
from ironclaw_vault.theaters import Theaters

log = structlog.get_logger()

_IN_HAND = frozenset({OrderPhase.CLAIMED, OrderPhase.RUNNING})
_GRACE_SECONDS = 3_600  # beyond the order's budget: a late result is still worth having
_REQUEST_BYTES_MAX = 8 * 1024 * 1024  # of a fetch: what the client has and wants, never a pack
_EXCHANGES_MAX = 16
_CHUNK_BYTES = 65_536


class RemoteWork:
    """Serves one branch an attempt. Several replicas may, on the same volume."""

    def __init__(
        self, theaters: Theaters, ledger: LedgerClient, tokens: GrantTokens, push_bytes_max: int
    ) -> None:
        self._theaters = theaters
        self._ledger = ledger
        self._tokens = tokens
        self._push_bytes_max = push_bytes_max
        self._exchanges = asyncio.Semaphore(_EXCHANGES_MAX)

    async def grant(self, order_id: str, request: api.GrantRequest) -> api.Grant:
        """Return what the unit that holds an attempt needs to work on it elsewhere.

        Raises `Conflict` when another unit or attempt has the order, `NotReady` when its worktree is not.
        """
        view = await self._ledger.order(order_id)
        order, worktree = view.order, view.order.worktree
        if order.attempt != request.attempt or order.phase not in _IN_HAND:
            raise Conflict(f"order {order_id} is {order.phase} at attempt {order.attempt}: it is not in hand")
        if view.lease is None or view.lease.unit_id != request.unit_id:
            raise Conflict(f"order {order_id} is not held by unit {request.unit_id}")
        if (
            worktree is None
            or worktree.attempt != request.attempt
            or worktree.state is not WorktreeState.READY
        ):
            raise NotReady(f"the worktree of attempt {request.attempt} of order {order_id} is not prepared")
        scope = Scope(order.theater_id, order_id, request.attempt)
        token, expires_at = self._tokens.issue(scope, order.order.constraints.budget_seconds + _GRACE_SECONDS)
        return api.Grant(
            git_path=f"/git/{order_id}/{request.attempt}",
            token=token,
            expires_at=expires_at,
            branch=worktree.branch,
            base_commit=worktree.base_commit,
            files=await asyncio.to_thread(_prepared, Path(worktree.path)),
        )

    async def settle(self, order_id: str, request: api.Settlement) -> api.Settled:
        """Bring the vault's worktree to the commit that was pushed. Doing it again is harmless.

        Raises `Conflict` when the branch stands on another commit.
        """
        order = (await self._ledger.order(order_id)).order
        repository = await self._theaters.repository(order.theater_id)
        branch = ironclaw_git.order_branch(order_id, request.attempt)
        head = await repository.ref(f"refs/heads/{branch}")
        if head is None or head != request.commit_sha:
            raise Conflict(f"{branch} stands on {head or 'nothing'}, not on {request.commit_sha}")
        path = self._theaters.places(order.theater_id).worktree(order_id, request.attempt)
        if await asyncio.to_thread(path.is_dir):
            try:
                await ironclaw_git.follow_branch(path, request.commit_sha, repository)
            except ironclaw_git.GitTimeout as error:
                raise Unavailable(str(error)) from error
            except ironclaw_git.GitError as error:
                raise Conflict(f"order {order_id}: {error}") from error
        return api.Settled(order_id, request.attempt, head)

    async def opened(self, authorization: str | None, order_id: str, attempt: str) -> tuple[Repository, str]:
        """Return the repository and branch that a grant opens.

        Raises `Unauthenticated` for a token that does not verify, `Forbidden` for another attempt's.
        """
        scope = self._tokens.verify(bearer(authorization))
        if scope.order_id != order_id or str(scope.attempt) != attempt:
            raise Forbidden(f"the grant is for attempt {scope.attempt} of order {scope.order_id}")
        repository = await self._theaters.repository(scope.theater_id)
        return repository, ironclaw_git.order_branch(scope.order_id, scope.attempt)

    async def refs(self, repository: Repository, branch: str, service: GitService) -> AsyncGenerator[bytes]:
        """Yield the one branch, as git's clients ask for it first."""
        async with self._exchanges:
            try:
                async for chunk in ironclaw_git.advertise(repository, service, branch):
                    yield chunk
            except ironclaw_git.GitError as error:
                log.warning("git refs not shown", branch=branch, service=service, reason=str(error))

    async def received(self, service: GitService, body: AsyncIterator[bytes], encoding: str) -> IO[bytes]:
        """Return a request's body, whole, as a file that is gone when it is closed.

        Raises `TooLarge`, and `BadRequest` for what is not the gzip that it says it is.
        """
        bytes_max = self._push_bytes_max if service == "git-receive-pack" else _REQUEST_BYTES_MAX
        file = await asyncio.to_thread(tempfile.TemporaryFile, dir=self._theaters.root)
        try:
            async for chunk in bounded(unzipped(body) if encoding == "gzip" else body, bytes_max):
                await asyncio.to_thread(file.write, chunk)
            file.seek(0)
        except BaseException:
            file.close()
            raise
        return file

    async def exchange(
        self, repository: Repository, branch: str, service: GitService, request: IO[bytes]
    ) -> AsyncGenerator[bytes]:
        """Yield git's answer to a fetch or a push."""
        push_bytes_max = self._push_bytes_max if service == "git-receive-pack" else 0
        async with self._exchanges:
            try:
                with request:
                    async for chunk in ironclaw_git.exchange(
                        repository, service, branch, request, push_bytes_max
                    ):
                        yield chunk
            except ironclaw_git.GitError as error:
                # The client was told in git's own words, or sees the answer break off.
                log.warning("git exchange failed", branch=branch, service=service, reason=str(error))


async def bounded(body: AsyncIterator[bytes], bytes_max: int) -> AsyncGenerator[bytes]:
    """Yield a body, or raise `TooLarge` where it goes beyond a bound in bytes."""
    size = 0
    async for chunk in body:
        size += len(chunk)
        if size > bytes_max:
            raise TooLarge(f"the request is larger than {bytes_max} bytes")
        yield chunk


async def unzipped(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield a gzip body's content in small pieces, so that a bomb meets the bound before the memory."""
    decoder = zlib.decompressobj(wbits=31)
    async for chunk in body:
        rest = chunk
        while rest:
            try:
                piece = decoder.decompress(rest, _CHUNK_BYTES)
            except zlib.error as error:
                raise BadRequest(f"the body is not gzip: {error}") from error
            rest = decoder.unconsumed_tail
            if piece:
                yield piece
            elif not rest:
                break
            if decoder.eof:
                return


def _prepared(worktree: Path) -> list[api.PreparedFile]:
    names = (ORDER_FILE, TASK_FILE, STATE_FILE)
    return [api.PreparedFile(name, (worktree / name).read_text(encoding="utf-8")) for name in names]
