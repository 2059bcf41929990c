"""API keys of people and programs (DESIGN, Identity and access)."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from ironclaw_contracts.enums import Role
from ironclaw_contracts.ids import Id
from ironclaw_contracts.spending import Ceiling


class KeyRequest(Struct, frozen=True):
    """A key for a person or program: `rate_per_minute` refills a token bucket of `burst` tokens.

    `spend` bounds what the model calls of all runs asked for with it may cost together.
    """

    name: Id
    role: Role = Role.USER
    rate_per_minute: Annotated[int, Meta(ge=1, le=1_000_000)] = 600
    burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 100
    spend: Ceiling = Ceiling()


class ApiKey(Struct, frozen=True):
    """A key as listed: never its secret."""

    key_id: str
    name: str
    role: Role
    rate_per_minute: int
    burst: int
    spend: Ceiling
    created_at: datetime
    revoked_at: datetime | None


class NewKey(Struct, frozen=True):
    """`secret` is shown this once."""

    key: ApiKey
    secret: str


class ApiKeys(Struct, frozen=True):
    keys: list[ApiKey]
