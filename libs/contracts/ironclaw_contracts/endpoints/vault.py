"""The vault's endpoints (seed 3.4)."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import Order, RelativePath
from ironclaw_contracts.as_of import AsOf, AsOfQuery
from ironclaw_contracts.endpoint import Endpoint, Nothing
from ironclaw_contracts.endpoints.vault_proof import READ_OBJECTS
from ironclaw_contracts.endpoints.vault_remote import (
    GIT_FETCH,
    GIT_PUSH,
    GIT_REFS,
    GRANT_WORKTREE,
    SETTLE_WORKTREE,
)
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import Attempt, Id, Sha


class TheaterRequest(Struct, frozen=True):
    """Without `repo_path` a bare repository is made under the vault's root; with it, that one is opened.

    `import_path` seeds a new theater with the files of a folder, as one commit; `copy_of` and `commit` begin
    it at a commit of another theater, with its history.
    """

    theater_id: Id
    repo_path: Annotated[str, Meta(max_length=4_096)] | None = None
    import_path: Annotated[str, Meta(max_length=4_096)] | None = None
    copy_of: Id | None = None
    commit: Sha | None = None


class Theater(Struct, frozen=True):
    """A repository that orders work on. `owned` when the vault made it."""

    theater_id: str
    repo_path: str
    mainline: str
    head: str
    owned: bool
    worktrees_path: str


class Theaters(Struct, frozen=True):
    theaters: list[Theater]


class FilesQuery(Struct, frozen=True):
    """`commit` defaults to the mainline's head, now or as of then; `pattern` is a glob over whole paths."""

    commit: Sha | None = None
    pattern: Annotated[str, Meta(max_length=500)] | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    as_of: AsOf | None = None


class TheaterFile(Struct, frozen=True):
    path: str
    size: int


class TheaterFiles(Struct, frozen=True):
    """The files of one commit; `truncated` when the limit cut the list."""

    commit: str
    files: list[TheaterFile]
    truncated: bool


class FileQuery(Struct, frozen=True):
    path: RelativePath
    commit: Sha | None = None
    as_of: AsOf | None = None


class LogQuery(Struct, frozen=True):
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 50
    as_of: AsOf | None = None


class TheaterLog(Struct, frozen=True):
    """`git log --graph --oneline` of the mainline, newest first."""

    mainline: str
    head: str
    lines: list[str]


class DiffQuery(Struct, frozen=True):
    """`base` defaults to the first parent of `commit`: what a merge brought to the mainline."""

    commit: Sha
    base: Sha | None = None


class Diff(Struct, frozen=True):
    """What differs between two commits, as a unified diff; `truncated` when it was cut."""

    base: str
    commit: str
    paths: list[str]
    patch: str
    truncated: bool


class WorktreeRequest(Struct, frozen=True, kw_only=True):
    """`branch` defaults to `order_<id>`; the base commit will contain every commit in `requires`.

    With `order` the worktree is prepared at once, as by `PREPARE_WORKTREE`.
    """

    theater_id: Id
    order_id: Id
    branch: Annotated[str, Meta(max_length=100)] | None = None
    attempt: Attempt = 1
    requires: list[Sha] = field(default_factory=list[str])
    order: Order | None = None


class WorktreeAnswer(Struct, frozen=True):
    worktree_path: str
    branch: str
    base_commit: str
    contains: list[str]


class Preparation(Struct, frozen=True):
    """The order to write into its worktree."""

    order: Order
    attempt: Attempt = 1


class AttemptQuery(Struct, frozen=True):
    """Which attempt's worktree; the order's current one by default."""

    attempt: Attempt | None = None


class Archive(Struct, frozen=True):
    """Where the work is kept: a ref of the theater's repository, files with their hash, or both."""

    order_id: str
    attempt: int
    ref: str | None
    head: str | None
    files: list[str]
    sha256: str | None


class SalvageQuery(Struct, frozen=True):
    """Which attempt; the newest one with salvaged work by default, now or as of then."""

    attempt: Attempt | None = None
    as_of: AsOf | None = None


class Salvage(Struct, frozen=True):
    """Work kept from an attempt that was not merged. `merged` when the mainline contains it after all.

    `kept_at` is the time of the commit.
    """

    order_id: str
    attempt: int
    ref: str
    commit: str
    subject: str
    kept_at: datetime
    merged: bool


class SalvageList(Struct, frozen=True):
    """Salvaged work of a theater, newest first."""

    salvage: list[Salvage]


class SalvageDetail(Struct, frozen=True):
    """What the work changes on the mainline commit that it began from; `truncated` when the diff was cut."""

    salvage: Salvage
    base_commit: str
    paths: list[str]
    diff: str
    truncated: bool


class Restoration(Struct, frozen=True):
    """`branch` defaults to `restored/<order>.<attempt>`."""

    attempt: Attempt | None = None
    branch: Annotated[str, Meta(min_length=1, max_length=100)] | None = None


class Restored(Struct, frozen=True):
    """The branch in the theater's repository that now holds the work."""

    order_id: str
    attempt: int
    branch: str
    commit: str
    repo_path: str


OPEN_THEATER = Endpoint(
    service=Service.VAULT,
    name="open_theater",
    method="POST",
    path="/theaters",
    summary="Create a theater, or open one on a repository of the user's.",
    body=TheaterRequest,
    query=Nothing,
    answer=Theater,
    callers=frozenset({Service.API_GATEWAY, Service.CO, Service.DUTY_OFFICER}),
    timeout_seconds=60.0,
)
LIST_THEATERS = Endpoint(
    service=Service.VAULT,
    name="list_theaters",
    method="GET",
    path="/theaters",
    summary="Every theater.",
    body=Nothing,
    query=AsOfQuery,
    answer=Theaters,
)
GET_THEATER = Endpoint(
    service=Service.VAULT,
    name="get_theater",
    method="GET",
    path="/theaters/{theater_id}",
    summary="One theater with its mainline's head.",
    body=Nothing,
    query=AsOfQuery,
    answer=Theater,
)
LIST_FILES = Endpoint(
    service=Service.VAULT,
    name="list_files",
    method="GET",
    path="/theaters/{theater_id}/files",
    summary="The files of a commit.",
    body=Nothing,
    query=FilesQuery,
    answer=TheaterFiles,
)
READ_FILE = Endpoint(
    service=Service.VAULT,
    name="read_file",
    method="GET",
    path="/theaters/{theater_id}/file",
    summary="The bytes of one file of a commit.",
    body=Nothing,
    query=FileQuery,
    answer=bytes,
    form="bytes",
)
READ_LOG = Endpoint(
    service=Service.VAULT,
    name="read_log",
    method="GET",
    path="/theaters/{theater_id}/log",
    summary="The mainline's history as a graph.",
    body=Nothing,
    query=LogQuery,
    answer=TheaterLog,
)
READ_DIFF = Endpoint(
    service=Service.VAULT,
    name="read_diff",
    method="GET",
    path="/theaters/{theater_id}/diff",
    summary="What differs between two commits.",
    body=Nothing,
    query=DiffQuery,
    answer=Diff,
    timeout_seconds=30.0,
)
CREATE_WORKTREE = Endpoint(
    service=Service.VAULT,
    name="create_worktree",
    method="POST",
    path="/worktrees",
    summary="Create a worktree for an order from the current mainline.",
    body=WorktreeRequest,
    query=Nothing,
    answer=WorktreeAnswer,
    callers=frozenset({Service.CO}),
    timeout_seconds=60.0,
)
PREPARE_WORKTREE = Endpoint(
    service=Service.VAULT,
    name="prepare_worktree",
    method="POST",
    path="/worktrees/{order_id}/prepare",
    summary="Write order.json, task.md and state.json.",
    body=Preparation,
    query=Nothing,
    answer=WorktreeAnswer,
    callers=frozenset({Service.CO}),
    timeout_seconds=30.0,
)
ARCHIVE_WORKTREE = Endpoint(
    service=Service.VAULT,
    name="archive_worktree",
    method="POST",
    path="/worktrees/{order_id}/archive",
    summary="Keep the work of an attempt: merged work by a ref, all else by salvage and bundle.",
    body=Nothing,
    query=AttemptQuery,
    answer=Archive,
    callers=frozenset({Service.CO, Service.DUTY_OFFICER, Service.SENTINEL}),
    timeout_seconds=60.0,
)
REMOVE_WORKTREE = Endpoint(
    service=Service.VAULT,
    name="remove_worktree",
    method="DELETE",
    path="/worktrees/{order_id}",
    summary="Archive the worktree if need be, then remove it.",
    body=Nothing,
    query=AttemptQuery,
    answer=Archive,
    callers=frozenset({Service.CO, Service.DUTY_OFFICER, Service.SENTINEL}),
    timeout_seconds=60.0,
)
LIST_SALVAGE = Endpoint(
    service=Service.VAULT,
    name="list_salvage",
    method="GET",
    path="/theaters/{theater_id}/salvage",
    summary="Work kept from attempts that were not merged, now or as of then.",
    body=Nothing,
    query=AsOfQuery,
    answer=SalvageList,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=30.0,
)
SHOW_SALVAGE = Endpoint(
    service=Service.VAULT,
    name="show_salvage",
    method="GET",
    path="/orders/{order_id}/salvage",
    summary="What an attempt's kept work changes, now or as of then.",
    body=Nothing,
    query=SalvageQuery,
    answer=SalvageDetail,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=30.0,
)
RESTORE_SALVAGE = Endpoint(
    service=Service.VAULT,
    name="restore_salvage",
    method="POST",
    path="/orders/{order_id}/salvage/restore",
    summary="Put an attempt's kept work on a branch.",
    body=Restoration,
    query=Nothing,
    answer=Restored,
    callers=frozenset({Service.API_GATEWAY}),
    timeout_seconds=30.0,
)
ENDPOINTS = (
    OPEN_THEATER,
    LIST_THEATERS,
    GET_THEATER,
    LIST_FILES,
    READ_FILE,
    READ_OBJECTS,
    READ_LOG,
    READ_DIFF,
    CREATE_WORKTREE,
    PREPARE_WORKTREE,
    ARCHIVE_WORKTREE,
    REMOVE_WORKTREE,
    LIST_SALVAGE,
    SHOW_SALVAGE,
    RESTORE_SALVAGE,
    GRANT_WORKTREE,
    SETTLE_WORKTREE,
    GIT_REFS,
    GIT_FETCH,
    GIT_PUSH,
)
