"""Every error a caller of git can meet, as one tree.

    GitError                 git answered with a failure; the message has its command, code and last words
    ├── GitTimeout           git did not end in time and was ended
    ├── OutputTooLarge       the answer exceeds the bound that the caller set
    ├── UnsafePath           a path leaves its root, or is one that git or a file system would misread
    ├── UnsafeName           an id, branch, ref, object id or person that could be misread
    ├── UnsafeConfig         the repository's own configuration cannot be made harmless
    ├── NotARepository       there is no repository (or no worktree of it) at the path
    ├── UnknownObject        no such commit, ref or file
    ├── StaleRef             a compare-and-swap lost: the ref moved meanwhile
    ├── RemoteRefused        another machine's repository was reached and said no
    ├── Occupied             the path or branch is already used for something else
    └── WouldLoseWork        the action would destroy work that is kept nowhere else
        └── DirtyCheckout    the user's checkout of the mainline has changes in the way

A message says what was wrong, with which value, and the mend. It never holds the environment.
"""

from collections.abc import Sequence

_STDERR_TAIL_CHARS = 2_000


class GitError(Exception):
    """git failed. `command` is its argument list, `stderr` the tail of what it said."""

    def __init__(
        self,
        message: str,
        *,
        command: Sequence[str] = (),
        returncode: int | None = None,
        stderr: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.command = tuple(command)
        self.returncode = returncode
        self.stderr = stderr[-_STDERR_TAIL_CHARS:]


class GitTimeout(GitError):
    """git did not end within its time limit; its process group was ended."""


class OutputTooLarge(GitError):
    """The answer exceeds the bound in bytes that the caller set."""


class UnsafePath(GitError):
    """A path leaves its root, or git or a file system could misread it."""


class UnsafeName(GitError):
    """An identifier, branch, ref, object id, person or message that git could misread."""


class UnsafeConfig(GitError):
    """The repository's own configuration cannot be made harmless; the message names the key."""


class NotARepository(GitError):
    """There is no repository, or no intact worktree of one, at the path."""


class UnknownObject(GitError):
    """No such commit, ref or file in the repository."""


class StaleRef(GitError):
    """A compare-and-swap lost: the ref has another value than expected. Read it again and redo the work."""


class RemoteRefused(GitError):
    """Another machine's repository was reached and refused: trying again will not help."""


class Occupied(GitError):
    """The path or branch is already used for something else."""


class WouldLoseWork(GitError):
    """The action would destroy work that is kept nowhere else; `paths` are the changed files."""

    def __init__(self, message: str, *, paths: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.paths = tuple(paths)


class DirtyCheckout(WouldLoseWork):
    """A checkout of the mainline has changes that a promotion would overwrite."""
