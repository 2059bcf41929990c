"""Whose fault a failure of the machine is."""

import errno

import pytest

from ironclaw_contracts.enums import Cause
from ironclaw_git import GitError
from ironclaw_worker.causes import cause_of


@pytest.mark.parametrize(
    ("error", "stands", "cause"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True, Cause.DISK),
        (OSError(errno.EROFS, "Read-only file system"), False, Cause.DISK),
        (GitError("fatal: write error: No space left on device"), True, Cause.DISK),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), False, Cause.LOST_UNIT),
        (GitError("not a repository"), False, Cause.LOST_UNIT),
        (IsADirectoryError(errno.EISDIR, "Is a directory"), True, Cause.TASK),
        (GitError("the branch moved"), True, Cause.TASK),
    ],
)
def test_given_an_error_of_the_machine_when_typed_then_only_the_tasks_own_is_the_tasks(
    error: Exception, stands: bool, cause: Cause
) -> None:
    assert cause_of(error, worktree_stands=stands) is cause
