"""Tries branches in flight against each other and the mainline as they move, and tells who will collide.

Each pair is tried once for the work that it has: a branch that stands still, or whose newest commit changes
no file, costs nothing.
"""

from typing import TypeVar

import structlog
from msgspec import Struct

import ironclaw_git
from ironclaw_chassis.escalations import Escalations
from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.endpoints import integration as api
from ironclaw_contracts.endpoints.integration import Sky
from ironclaw_contracts.enums import OrderPhase, Severity
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Repository
from ironclaw_integration.merge_queue import QUEUED_PHASES
from ironclaw_integration.theaters import Theaters
from ironclaw_integration.weather import Branch, may_meet, pairs, sky, without_operational, work_of, worst

log = structlog.get_logger()

FLYING_PHASES = frozenset({OrderPhase.CLAIMED, OrderPhase.RUNNING, OrderPhase.COMPLETED, *QUEUED_PHASES})
_BRANCHES_MAX = 64
_KNOWN_MAX = 20_000
_PATHS_SHOWN_MAX = 20

K = TypeVar("K")
V = TypeVar("V")
_Work = tuple[str, str, str, str]


class Met(Struct, frozen=True):
    """How a pair stands, and the paths that say so."""

    state: Sky
    paths: tuple[str, ...] = ()


class Forecast:
    """The weather of theaters; what was tried is remembered by what it is."""

    def __init__(self, ledger: LedgerClient, theaters: Theaters, escalations: Escalations) -> None:
        self._ledger = ledger
        self._theaters = theaters
        self._escalations = escalations
        self._known: dict[_Work, Met] = {}
        self._branches: dict[tuple[str, str], Branch] = {}

    async def look(self, theater_id: str) -> api.Weather:
        """Return the weather of a theater now. Raises `NotFound`."""
        repository = await self._theaters.repository(theater_id)
        head = await repository.mainline_head()
        branches = await self._flying(theater_id, repository)
        tried = 0
        mainlines: list[api.BranchWeather] = []
        for branch in branches:
            met, new = await self._with_mainline(repository, head, branch)
            tried += new
            mainlines.append(
                api.BranchWeather(
                    order_id=branch.order_id,
                    attempt=branch.attempt,
                    head=branch.head,
                    state=met.state,
                    paths=list(met.paths),
                )
            )
        found: list[api.PairWeather] = []
        every = pairs(branches)
        for one, other in every:
            if not may_meet(one, other):
                continue
            met, new = await self._meet(repository, one, other)
            tried += new
            if met.state != "clear":
                found.append(
                    api.PairWeather(
                        first=one.order_id, second=other.order_id, state=met.state, paths=list(met.paths)
                    )
                )
        return api.Weather(
            theater_id=theater_id,
            head=head,
            state=worst([*(b.state for b in mainlines), *(p.state for p in found)]),
            branches=mainlines,
            pairs=found,
            pairs_clear=len(every) - len(found),
            tried=tried,
        )

    async def tell(self, theater_id: str) -> None:
        """Tell, once an attempt, of each order that is foreseen to collide: the later one waits."""
        weather = await self.look(theater_id)
        collisions = {b.order_id: ("the mainline", b.paths) for b in weather.branches if b.state == "hot"}
        for pair in weather.pairs:
            if pair.state == "hot":
                collisions.setdefault(pair.second, (f"order {pair.first}", pair.paths))
        attempts = {branch.order_id: branch.attempt for branch in weather.branches}
        for order_id, (what, paths) in collisions.items():
            await self._escalations.raise_once(
                Severity.LOW,
                f"weather:{order_id}",
                f"order {order_id} is foreseen to conflict with {what} in {', '.join(paths)}; it is merged"
                " after it, or done again on the new mainline",
                episode=attempts[order_id],
                theater_id=theater_id,
                order_id=order_id,
            )

    async def _flying(self, theater_id: str, repository: Repository) -> list[Branch]:
        """Return the branches that have moved since they began, of the oldest orders if there are many."""
        heads = await repository.refs()
        orders = [o async for o, _ in self._ledger.orders_in(sorted(FLYING_PHASES), theater_id)]
        branches: list[Branch] = []
        for order in sorted(orders, key=lambda order: order.first_seq):
            worktree = order.worktree
            head = None if worktree is None else heads.get(f"refs/heads/{worktree.branch}")
            if worktree is None or head is None or head == worktree.base_commit:
                continue
            branch = await self._branch(repository, order, head, worktree.base_commit)
            if branch.paths:
                branches.append(branch)
        if len(branches) > _BRANCHES_MAX:
            log.info("too many branches for a whole forecast", theater_id=theater_id, branches=len(branches))
        return branches[:_BRANCHES_MAX]

    async def _branch(self, repository: Repository, order: OrderSnapshot, head: str, base: str) -> Branch:
        known = self._branches.get((order.order_id, head))
        if known is not None:
            return known
        changes = without_operational(await repository.changed_paths(base, head))
        branch = Branch(
            order_id=order.order_id,
            attempt=order.attempt,
            first_seq=order.first_seq,
            head=head,
            base=base,
            work=work_of(changes),
            paths=frozenset(change.path for change in changes),
            removes=any(change.status == "D" for change in changes),
        )
        _remember(self._branches, (order.order_id, head), branch)
        return branch

    async def _with_mainline(self, repository: Repository, head: str, branch: Branch) -> tuple[Met, bool]:
        if head == branch.base:
            return Met("clear"), False
        key = (branch.base, branch.work, head, head)
        known = self._known.get(key)
        if known is not None:
            return known, False
        theirs = without_operational(await repository.changed_paths(branch.base, head))
        shared = branch.paths & {change.path for change in theirs}
        met = await _foresee(repository, head, branch.head, shared)
        _remember(self._known, key, met)
        return met, True

    async def _meet(self, repository: Repository, one: Branch, other: Branch) -> tuple[Met, bool]:
        key = (one.base, one.work, other.base, other.work)
        known = self._known.get(key)
        if known is not None:
            return known, False
        met = await _foresee(repository, one.head, other.head, one.paths & other.paths)
        _remember(self._known, key, met)
        return met, True


async def _foresee(repository: Repository, ours: str, theirs: str, shared: frozenset[str]) -> Met:
    merged = await ironclaw_git.foresee(repository, ours, theirs)
    conflicts = merged.paths if isinstance(merged, ironclaw_git.Conflict) else ()
    state = sky(bool(shared), bool(conflicts))
    return Met(state, tuple((conflicts or tuple(sorted(shared)))[:_PATHS_SHOWN_MAX]))


def _remember(known: dict[K, V], key: K, value: V) -> None:
    """Keep a value; the oldest goes when there are too many."""
    if len(known) >= _KNOWN_MAX:
        known.pop(next(iter(known)))
    known[key] = value
