"""The vault's endpoints for units on other machines: grants, and one branch over git's smart HTTP."""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from ironclaw_contracts.endpoint import ANYONE, Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import Attempt, Id, Sha


class GrantRequest(Struct, frozen=True):
    """Asks to work on an attempt elsewhere; `unit_id` is the unit that claimed it."""

    attempt: Attempt
    unit_id: Id


class PreparedFile(Struct, frozen=True):
    """One of the files that the vault put at the worktree's root."""

    name: str
    content: str


class Grant(Struct, frozen=True):
    """What a unit on another machine needs: where git serves the attempt's branch, and the token for it.

    The token opens that branch and no other, for fetching and pushing, until `expires_at`.
    """

    git_path: str
    token: str
    expires_at: datetime
    branch: str
    base_commit: str
    files: list[PreparedFile]


class Settlement(Struct, frozen=True):
    """The commit that was pushed to the attempt's branch."""

    attempt: Attempt
    commit_sha: Sha


class Settled(Struct, frozen=True):
    """Where the attempt's branch stands."""

    order_id: str
    attempt: int
    head: str


class GitQuery(Struct, frozen=True):
    """Which of git's two services a client begins."""

    service: Literal["git-upload-pack", "git-receive-pack"]


GRANT_WORKTREE = Endpoint(
    service=Service.VAULT,
    name="grant_worktree",
    method="POST",
    path="/worktrees/{order_id}/grants",
    summary="Let the unit that holds an attempt work on it elsewhere.",
    body=GrantRequest,
    query=Nothing,
    answer=Grant,
    callers=frozenset({Service.WORKER}),
)
SETTLE_WORKTREE = Endpoint(
    service=Service.VAULT,
    name="settle_worktree",
    method="POST",
    path="/worktrees/{order_id}/settle",
    summary="Bring the vault's worktree to what was pushed to its branch.",
    body=Settlement,
    query=Nothing,
    answer=Settled,
    callers=frozenset({Service.WORKER}),
    timeout_seconds=60.0,
)
GIT_REFS = Endpoint(
    service=Service.VAULT,
    name="git_refs",
    method="GET",
    path="/git/{order_id}/{attempt}/info/refs",
    summary="git smart HTTP: the one branch that a grant opens.",
    body=Nothing,
    query=GitQuery,
    answer=bytes,
    callers=ANYONE,  # a grant's token, which the vault checks itself
    form="raw",
)
GIT_FETCH = Endpoint(
    service=Service.VAULT,
    name="git_fetch",
    method="POST",
    path="/git/{order_id}/{attempt}/git-upload-pack",
    summary="git smart HTTP: fetch it.",
    body=Nothing,
    query=Nothing,
    answer=bytes,
    callers=ANYONE,
    form="raw",
)
GIT_PUSH = Endpoint(
    service=Service.VAULT,
    name="git_push",
    method="POST",
    path="/git/{order_id}/{attempt}/git-receive-pack",
    summary="git smart HTTP: push to it, forward only.",
    body=Nothing,
    query=Nothing,
    answer=bytes,
    callers=ANYONE,
    form="raw",
)
