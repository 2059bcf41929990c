"""What the vault proves of commits: git's own objects, for mission receipts."""

from typing import Annotated

from msgspec import Meta, Struct, field

from ironclaw_contracts.artifacts import RelativePath
from ironclaw_contracts.endpoint import MIB, Endpoint, Nothing
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import Sha
from ironclaw_contracts.receipts import GitObject


class CommitPaths(Struct, frozen=True):
    """A commit, and paths whose trees are wanted, of `files` the contents too; absent ones are left out."""

    commit: Sha
    paths: Annotated[list[RelativePath], Meta(max_length=1_000)] = field(default_factory=list[str])
    files: Annotated[list[RelativePath], Meta(max_length=10)] = field(default_factory=list[str])


class ObjectsRequest(Struct, frozen=True):
    commits: Annotated[list[CommitPaths], Meta(max_length=200)]


class GitObjects(Struct, frozen=True):
    """Objects as git stores them, each once: the commits, the trees down to the paths, the files."""

    objects: list[GitObject]


READ_OBJECTS = Endpoint(
    service=Service.VAULT,
    name="read_objects",
    method="POST",
    path="/theaters/{theater_id}/objects",
    summary="Commits and what leads to files in them, as git stores them.",
    body=ObjectsRequest,
    query=Nothing,
    answer=GitObjects,
    callers=frozenset({Service.API_GATEWAY}),
    body_bytes_max=16 * MIB,
    timeout_seconds=30.0,
)
