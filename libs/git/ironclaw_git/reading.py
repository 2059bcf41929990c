"""Reads of a repository that go together, one after another in one thread; see `Repository.reading`.

Names are checked here, before they reach libgit2. Raises `UnknownObject` for what is not there.
"""

from collections.abc import Sequence

import pygit2

from ironclaw_git.history import changed_paths, contains_all, new_blobs
from ironclaw_git.names import check_ref, check_revision, check_sha
from ironclaw_git.objects import ChangedPath, NewBlobs
from ironclaw_git.odb import blobs_at, header, read_blob, read_blobs, tree_id
from ironclaw_git.paths import check_relative_path
from ironclaw_git.refdb import commit_at, standing

READ_BYTES_MAX = 16 * 1024 * 1024


class Reading:
    """An opened repository. Every call blocks."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._repository = repository

    def resolve(self, revision: str) -> str:
        """Return the commit that a full object id, branch, ref or `HEAD` means."""
        return commit_at(self._repository, check_revision(revision))

    def ref(self, name: str) -> str | None:
        """Return the object that a full ref stands on; None when there is no such ref."""
        return standing(self._repository, check_ref(name))

    def contains_all(self, commit: str, shas: Sequence[str]) -> bool:
        """Say whether `commit` contains every one of `shas`."""
        return contains_all(self._repository, check_sha(commit), [check_sha(sha) for sha in shas])

    def tree_of(self, commit: str) -> str:
        """Return the hash of a commit's tree."""
        return tree_id(self._repository, check_sha(commit))

    def read_file(self, commit: str, path: str, max_bytes: int = READ_BYTES_MAX) -> bytes:
        """Return the bytes of one file of a commit as stored; of a link, where it points.

        Raises `UnsafePath`, and `OutputTooLarge` above `max_bytes`.
        """
        return read_blob(self._repository, check_sha(commit), check_relative_path(path), max_bytes)

    def read_files(
        self, commit: str, paths: Sequence[str], file_bytes_max: int = READ_BYTES_MAX
    ) -> dict[str, bytes | None]:
        """Return the bytes of several files of a commit as stored.

        None stands for what is not there, is no file, or is larger than `file_bytes_max`; see `sizes`.
        """
        wanted = [check_relative_path(path) for path in paths]
        return read_blobs(self._repository, check_sha(commit), wanted, file_bytes_max)

    def sizes(self, commit: str, paths: Sequence[str]) -> dict[str, int]:
        """Return the size in bytes of each of these paths that is a file or link of a commit."""
        wanted = [check_relative_path(path) for path in paths]
        found = blobs_at(self._repository, check_sha(commit), wanted)
        return {path: size for path, (_, size) in found.items()}

    def object_sizes(self, shas: Sequence[str]) -> list[int]:
        """Return the sizes of objects in bytes; 0 for what is not here, as a removed file or a submodule."""
        about = [header(self._repository, check_sha(sha)) for sha in shas]
        return [found[1] if found is not None else 0 for found in about]

    def new_blobs(self, commit: str, known: str, *, file_bytes_max: int, total_bytes_max: int) -> NewBlobs:
        """Return every file version that `commit` brings in its history and `known` does not contain.

        See `history.new_blobs`.
        """
        return new_blobs(
            self._repository,
            check_sha(commit),
            check_sha(known),
            file_bytes_max=file_bytes_max,
            total_bytes_max=total_bytes_max,
        )

    def changed_paths(self, base: str, head: str) -> list[ChangedPath]:
        """Return every path that differs between two commits; a rename is a deletion and an addition."""
        return changed_paths(self._repository, check_sha(base), check_sha(head))
