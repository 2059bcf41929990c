"""An endpoint, declared once: the server registers its handler for it, the client calls through it."""

from typing import Generic, Literal, TypeVar

from msgspec import Struct

from ironclaw_contracts.enums import Role, Service

Body = TypeVar("Body")
Query = TypeVar("Query")
Answer = TypeVar("Answer")

Method = Literal["GET", "POST", "PUT", "DELETE"]
Form = Literal["json", "events", "lines", "bytes", "foreign", "raw"]
"""What an endpoint answers: an envelope, server-sent events, JSON lines, the bytes of a file,
what a contract of others says, headers, body and all, or bytes for bytes as they come, both ways."""

Caller = Service | Role
ANYONE: frozenset[Caller] = frozenset()
"""Callers of an endpoint that asks for no identity (health and readiness)."""

SERVICES: frozenset[Caller] = frozenset(Service)
USERS: frozenset[Caller] = frozenset({Role.USER, Role.OPERATOR})
OPERATORS: frozenset[Caller] = frozenset({Role.OPERATOR})

KIB = 1024
MIB = 1024 * KIB


class Nothing(Struct, frozen=True):
    """The body or query of an endpoint that takes none."""


class Done(Struct, frozen=True):
    """The answer of an endpoint that has nothing to tell beyond having done it."""


class Endpoint(Struct, Generic[Body, Query, Answer], frozen=True, kw_only=True):
    """Method, path, types and callers of one endpoint.

    `path` names its parameters in braces; every `{..._id}` is checked as an identifier.
    `idempotent` says that a client may send it again after a lost answer.
    """

    service: Service
    name: str
    method: Method
    path: str
    summary: str
    answer: type[Answer]
    body: type[Body]
    query: type[Query]
    callers: frozenset[Caller] = SERVICES
    idempotent: bool = True
    form: Form = "json"
    body_bytes_max: int = MIB
    timeout_seconds: float = 10.0

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path parameters, in order."""
        return tuple(part.split("}")[0].split(":")[0] for part in self.path.split("{")[1:])
