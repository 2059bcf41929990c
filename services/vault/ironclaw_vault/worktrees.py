"""Worktrees: made from the mainline, prepared, kept, removed. Each call converges after a crash."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
import structlog

import ironclaw_git
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.artifacts import ORDER_FILE, STATE_FILE, TASK_FILE, Order, WorktreeStateFile
from ironclaw_contracts.derived import order_event
from ironclaw_contracts.endpoints import vault as api
from ironclaw_contracts.enums import OrderPhase, WorktreeState
from ironclaw_contracts.errors import (
    BadRequest,
    Conflict,
    EventConflict,
    IllegalTransition,
    NotFound,
    NotReady,
    Unavailable,
)
from ironclaw_contracts.events import EventType, NewEvent
from ironclaw_contracts.material import files_touched
from ironclaw_contracts.payloads import (
    WorktreeArchived,
    WorktreeCreated,
    WorktreeReady,
    WorktreeRemoved,
)
from ironclaw_contracts.snapshots import OrderSnapshot, Worktree
from ironclaw_git import Repository
from ironclaw_vault.task import task_text
from ironclaw_vault.theaters import Theaters

log = structlog.get_logger()


class Worktrees:
    """Works on the worktrees of all theaters and tells the ledger."""

    def __init__(self, theaters: Theaters, ledger: LedgerClient) -> None:
        self._theaters = theaters
        self._ledger = ledger
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def _alone(self, order_id: str) -> AsyncGenerator[None]:
        """Let one call at a time work on an order's worktree, and answer git's refusals as problems."""
        lock = self._locks.get(order_id) or self._locks.setdefault(order_id, asyncio.Lock())
        async with lock:
            try:
                yield
            except ironclaw_git.GitTimeout as error:
                raise Unavailable(str(error)) from error
            except ironclaw_git.GitError as error:
                raise Conflict(f"order {order_id}: {error}") from error

    async def create(self, request: api.WorktreeRequest) -> api.WorktreeAnswer:
        """Make the worktree of an attempt from the current mainline, prepared where the order came along.

        Raises `NotReady` when the mainline does not contain a required merge, `IllegalTransition` when the
        order waits for no worktree, `BadRequest` for a branch that is not the order's own.
        """
        branch = ironclaw_git.order_branch(request.order_id, request.attempt)
        if request.branch is not None and request.branch != branch:
            raise BadRequest(f"branch: attempt {request.attempt} of the order works on {branch!r}")
        _check_prepared(request.order_id, request.order)
        async with self._alone(request.order_id):
            return await self._create(request, branch)

    async def _create(self, request: api.WorktreeRequest, branch: str) -> api.WorktreeAnswer:
        order = (await self._ledger.order(request.order_id)).order
        if order.theater_id != request.theater_id:
            raise BadRequest(f"order {order.order_id} is of theater {order.theater_id}")
        have = order.worktree
        if have is not None and have.attempt == request.attempt and await _is_there(have.path):
            if request.order is not None:
                await self._prepare(order, have, request.order)
            return api.WorktreeAnswer(have.path, have.branch, have.base_commit, have.contains)
        if order.phase is not OrderPhase.PLANNED or order.attempt != request.attempt:
            raise IllegalTransition(
                f"order {order.order_id} is {order.phase} at attempt {order.attempt}: it gets no worktree now"
            )
        repository = await self._theaters.repository(request.theater_id)
        base = await repository.mainline_head()
        if not await repository.contains_all(base, request.requires):
            raise NotReady(f"the mainline at {base} does not contain every required merge")
        path = self._theaters.places(request.theater_id).worktree(request.order_id, request.attempt)
        made = await ironclaw_git.add_worktree(
            repository, path, branch, base, touched=files_touched(order.order)
        )
        created = WorktreeCreated(
            attempt=request.attempt,
            path=str(path),
            branch=branch,
            base_commit=made.head,
            contains=request.requires,
        )
        events = [order_event(EventType.WORKTREE_CREATED, created, order)]
        if request.order is not None:
            await asyncio.to_thread(_write_files, path, request.order, request.attempt)
            ready = WorktreeReady(attempt=request.attempt, path=str(path))
            events.append(order_event(EventType.WORKTREE_READY, ready, order))
        try:
            await self._ledger.append_all(events)
        except EventConflict:
            # Told before, by a call whose answer was lost: the ledger's word stands.
            return await self._told(order)
        return api.WorktreeAnswer(str(path), branch, made.head, request.requires)

    async def prepare(self, order_id: str, preparation: api.Preparation) -> api.WorktreeAnswer:
        """Write order.json, task.md and state.json into the attempt's worktree."""
        order = (await self._ledger.order(order_id)).order
        worktree = order.worktree
        _check_prepared(order_id, preparation.order)
        if worktree is None or worktree.attempt != preparation.attempt:
            raise NotReady(f"order {order_id} has no worktree for attempt {preparation.attempt}")
        await self._prepare(order, worktree, preparation.order)
        return api.WorktreeAnswer(worktree.path, worktree.branch, worktree.base_commit, worktree.contains)

    async def _prepare(self, order: OrderSnapshot, worktree: Worktree, given: Order) -> None:
        if worktree.state is WorktreeState.CREATED:
            await asyncio.to_thread(_write_files, Path(worktree.path), given, worktree.attempt)
            ready = WorktreeReady(attempt=worktree.attempt, path=worktree.path)
            await self._ledger.append(order_event(EventType.WORKTREE_READY, ready, order))

    async def archive(self, order_id: str, attempt: int | None) -> api.Archive:
        """Keep the work of an attempt: merged and clean by a ref, all else by salvage, bundle and tar."""
        async with self._alone(order_id):
            order = (await self._ledger.order(order_id)).order
            kept = await self._keep(order, attempt or order.attempt)
            await self._tell([_archived(order, kept)])
            return kept

    async def remove(self, order_id: str, attempt: int | None) -> api.Archive:
        """Keep the work, then remove the worktree."""
        async with self._alone(order_id):
            order = (await self._ledger.order(order_id)).order
            number = attempt or order.attempt
            kept = await self._keep(order, number)
            telling = [_archived(order, kept)]
            if kept.files:  # what only an archive holds is in the ledger before the worktree goes
                await self._tell(telling)
                telling = []
            repository = await self._theaters.repository(order.theater_id)
            path = self._theaters.places(order.theater_id).worktree(order_id, number)
            await ironclaw_git.remove_worktree(repository, path, preserved=True)
            removed = WorktreeRemoved(attempt=number, path=str(path))
            await self._tell([*telling, order_event(EventType.WORKTREE_REMOVED, removed, order)])
            return kept

    async def _keep(self, order: OrderSnapshot, attempt: int) -> api.Archive:
        repository = await self._theaters.repository(order.theater_id)
        places = self._theaters.places(order.theater_id)
        path = places.worktree(order.order_id, attempt)
        branch = ironclaw_git.order_branch(order.order_id, attempt)
        head = await repository.ref(f"refs/heads/{branch}")
        if head is None and not path.is_dir():
            raise NotFound(f"attempt {attempt} of order {order.order_id} has no worktree")
        files: list[str] = []
        sha256 = None
        if path.is_dir() and not await _is_merged_and_clean(repository, path, head):
            head = await ironclaw_git.salvage(repository, path, order.order_id, attempt) or head
            if head is not None:
                await ironclaw_git.salvage_by_ref(repository, head, order.order_id, attempt)
            archived = await ironclaw_git.archive(
                repository, path, branch, places.archive, order.order_id, attempt
            )
            files = [str(p) for p in (archived.bundle_path, archived.tar_path) if p is not None]
            sha256 = archived.sha256
            ref = ironclaw_git.salvage_ref(order.order_id, attempt)
        else:
            ref = ironclaw_git.archive_ref(order.order_id, attempt)
        if head is not None and not files:
            ref = await ironclaw_git.archive_by_ref(repository, head, order.order_id, attempt)
        return api.Archive(order.order_id, attempt, ref=ref, head=head, files=files, sha256=sha256)

    async def _tell(self, events: list[NewEvent]) -> None:
        """Append what is new of these events."""
        try:
            await self._ledger.append_all(events)
        except EventConflict as error:
            log.info("told already", order_id=events[0].order_id, kind=events[0].type, reason=error.message)
            if len(events) > 1:
                for event in events:
                    await self._tell([event])

    async def _told(self, order: OrderSnapshot) -> api.WorktreeAnswer:
        worktree = (await self._ledger.order(order.order_id)).order.worktree
        if worktree is None:
            raise Conflict(f"order {order.order_id} was given another attempt meanwhile")
        return api.WorktreeAnswer(worktree.path, worktree.branch, worktree.base_commit, worktree.contains)


def _archived(order: OrderSnapshot, kept: api.Archive) -> NewEvent:
    payload = WorktreeArchived(
        attempt=kept.attempt, ref=kept.ref, head=kept.head, files=kept.files, sha256=kept.sha256
    )
    return order_event(EventType.WORKTREE_ARCHIVED, payload, order, kept.sha256 or kept.head or "")


def _check_prepared(order_id: str, given: Order | None) -> None:
    if given is not None and given.order_id != order_id:
        raise BadRequest(f"order.order_id is {given.order_id}, not {order_id}")


async def _is_there(path: str) -> bool:
    return await asyncio.to_thread(Path(path).is_dir)


async def _is_merged_and_clean(repository: Repository, path: Path, head: str | None) -> bool:
    if head is None:
        return False
    try:
        standing = await ironclaw_git.status(path, repository)
    except ironclaw_git.GitError:
        return False
    return standing.clean and await repository.is_ancestor(head, await repository.mainline_head())


def _write_files(worktree: Path, order: Order, attempt: int) -> None:
    state = WorktreeStateFile(
        order_id=order.order_id, attempt=attempt, phase="prepared", updated_at=datetime.now(UTC)
    )
    (worktree / ORDER_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(order), indent=2) + b"\n")
    (worktree / TASK_FILE).write_text(task_text(order), encoding="utf-8")
    (worktree / STATE_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
