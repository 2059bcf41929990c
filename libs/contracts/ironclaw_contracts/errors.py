"""Every error a caller can meet, as one tree.

    Problem
    ├── BadRequest          400  INVALID_REQUEST
    │   └── BadId           400  BAD_ID
    ├── Unauthenticated     401  UNAUTHENTICATED
    ├── Forbidden           403  FORBIDDEN
    │   └── Authority       403  AUTHORITY
    ├── NotFound            404  NOT_FOUND
    ├── Conflict            409  CONFLICT
    │   ├── EventConflict   409  EVENT_CONFLICT
    │   ├── IllegalTransition 409 ILLEGAL_TRANSITION
    │   ├── StaleAttempt    409  STALE_ATTEMPT
    │   ├── LeaseLive       409  LEASE_LIVE
    │   ├── LeaseLost       409  LEASE_LOST
    │   ├── NotReady        409  NOT_READY
    │   ├── BudgetExceeded  409  BUDGET_EXCEEDED
    │   └── DirtyCheckout   409  DIRTY_CHECKOUT
    ├── TooLarge            413  TOO_LARGE
    ├── RateLimited         429  RATE_LIMITED
    ├── Internal            500  INTERNAL
    └── Unavailable         503  UNAVAILABLE

A code is stable: clients may match on it. A message says what was wrong, with which value, and the mend.
"""

from collections.abc import Iterator


class Problem(Exception):
    """An error that is answered to a caller as `{ok: false, error: {code, message}}`."""

    code = "INTERNAL"
    status = 500

    def __init__(self, message: str, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_seconds = retry_after_seconds


class BadRequest(Problem):
    """The request is malformed; the message names the field."""

    code, status = "INVALID_REQUEST", 400


class BadId(BadRequest):
    """A path or body carries something that is not an identifier."""

    code = "BAD_ID"


class Unauthenticated(Problem):
    """No key or token, or one that does not verify."""

    code, status = "UNAUTHENTICATED", 401


class Forbidden(Problem):
    """The caller is known and may not do this."""

    code, status = "FORBIDDEN", 403


class Authority(Forbidden):
    """The event type is not the calling service's to append."""

    code = "AUTHORITY"


class NotFound(Problem):
    """No such run, order, theater, file or key."""

    code, status = "NOT_FOUND", 404


class Conflict(Problem):
    """The request contradicts the state it meets."""

    code, status = "CONFLICT", 409


class EventConflict(Conflict):
    """The event id is known with another body."""

    code = "EVENT_CONFLICT"


class IllegalTransition(Conflict):
    """The state machine has no such step from the current state."""

    code = "ILLEGAL_TRANSITION"


class StaleAttempt(Conflict):
    """The event belongs to an attempt that was superseded."""

    code = "STALE_ATTEMPT"


class LeaseLive(Conflict):
    """The order's unit still holds its lease, so the order cannot be taken from it."""

    code = "LEASE_LIVE"


class LeaseLost(Conflict):
    """The lease is no longer the unit's to renew."""

    code = "LEASE_LOST"


class NotReady(Conflict):
    """A precondition is not yet proven: a dependency unmerged, a worktree without it."""

    code = "NOT_READY"


class BudgetExceeded(Conflict):
    """A model call could pass the ceiling of its order, run or key; the message has the figures."""

    code = "BUDGET_EXCEEDED"


class DirtyCheckout(Conflict):
    """The user's own checkout of the mainline has changes that a promotion would overwrite."""

    code = "DIRTY_CHECKOUT"


class TooLarge(Problem):
    """The body exceeds the endpoint's limit."""

    code, status = "TOO_LARGE", 413


class RateLimited(Problem):
    """The key's rate limit is spent; `retry_after_seconds` says when to come back."""

    code, status = "RATE_LIMITED", 429


class Internal(Problem):
    """A fault of ours; the log has the request id."""


class Unavailable(Problem):
    """PostgreSQL, Redis or another service is away; retry after a moment."""

    code, status = "UNAVAILABLE", 503

    def __init__(self, message: str, *, retry_after_seconds: int | None = 1) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)


def _tree(root: type[Problem]) -> Iterator[type[Problem]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


PROBLEMS: dict[str, type[Problem]] = {
    problem.code: problem for problem in _tree(Problem) if problem is not Problem
}


def problem_from_code(code: str, message: str, retry_after_seconds: int | None = None) -> Problem:
    """Return the error that a service answered, ready to raise on the client's side."""
    return PROBLEMS.get(code, Internal)(message, retry_after_seconds=retry_after_seconds)
