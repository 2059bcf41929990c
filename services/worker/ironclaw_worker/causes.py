"""Whose fault a failure of the machine is. Pure.

Only faults of the task itself use up its retries: an outage must not burn them.
"""

import errno

from ironclaw_contracts.enums import Cause

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})
_DISK_WORDS = ("No space left", "Disk quota", "Read-only file system", "Input/output error")


def cause_of(error: Exception, *, worktree_stands: bool) -> Cause:
    """Return the cause of an error of git or of the file system.

    Without its worktree a unit cannot work whatever the task is: that is a lost unit, and another is tried.
    """
    full = isinstance(error, OSError) and error.errno in _DISK
    if full or any(words in str(error) for words in _DISK_WORDS):
        return Cause.DISK
    return Cause.TASK if worktree_stands else Cause.LOST_UNIT
