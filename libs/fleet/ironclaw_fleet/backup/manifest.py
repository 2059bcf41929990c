"""What a backup says of itself: manifest.json, the first member of the file."""

from datetime import datetime

from msgspec import Struct

FORMAT = 1
MANIFEST = "manifest.json"


class Broken(Exception):
    """The backup cannot be used; the message says why and what to do."""


class TableCopy(Struct, frozen=True):
    """A table as it was copied (COPY, text form): its columns in order, and how many rows."""

    columns: list[str]
    rows: int


class SchemaCopy(Struct, frozen=True):
    """A service's schema: the migration it stood at, and its tables."""

    migration: int
    tables: dict[str, TableCopy]


class TheaterCopy(Struct, frozen=True):
    """A theater's repository as a bundle. `owned` when the vault had made it."""

    mainline: str
    head: str
    owned: bool
    repo_path: str


class Manifest(Struct, frozen=True, kw_only=True):
    """The whole: every schema as of one moment, every repository as of the same or later.

    `members` has the SHA-256 of every other member by its name. `public_key` is the ledger's, in hex.
    """

    format: int
    version: str
    made_at: datetime
    head_seq: int
    head_hash: str
    public_key: str
    schemas: dict[str, SchemaCopy]
    theaters: dict[str, TheaterCopy]
    members: dict[str, str]
