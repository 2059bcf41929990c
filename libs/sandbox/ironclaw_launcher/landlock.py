"""Which accesses Landlock grants below which path (linux/landlock.h), as far as the kernel knows them."""

import os
import stat
import struct
from collections.abc import Iterable

from ironclaw_launcher import syscalls

ABI_NEEDED = 2
"""The first version that lets a file be renamed into another folder (REFER, Linux 5.19)."""
ABI_SCOPES = 6
"""The first version that keeps abstract unix sockets of other domains out of reach (Linux 6.12)."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK = 1 << 6, 1 << 7, 1 << 8, 1 << 9
_MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = 1 << 10, 1 << 11, 1 << 12
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1 << 0, 1 << 1

READ = _EXECUTE | _READ_FILE | _READ_DIR
WRITE = (
    READ
    | _WRITE_FILE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_SOCK
    | _MAKE_FIFO
    | _MAKE_SYM
    | _REFER
    | _TRUNCATE
    | _IOCTL_DEV
)
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_ALL = WRITE | _MAKE_CHAR | _MAKE_BLOCK


def handled(abi: int) -> int:
    """Return every access that version `abi` can refuse."""
    known = _ALL
    for access, since in ((_REFER, 2), (_TRUNCATE, 3), (_IOCTL_DEV, 5)):
        if abi < since:
            known &= ~access
    return known


def ruleset_attributes(abi: int) -> bytes:
    """Return the `struct landlock_ruleset_attr` that handles all that version `abi` knows."""
    if abi >= ABI_SCOPES:
        return struct.pack("=QQQ", handled(abi), 0, _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL)
    return struct.pack("=Q", handled(abi))


def granted(access: int, *, folder: bool, abi: int) -> int:
    """Return the part of `access` that a rule for a folder, or for a file, may name."""
    return access & handled(abi) & (_ALL if folder else _OF_FILES)


def confine(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Put this process under Landlock: read and execute below `readable`, all below `writable`.

    Raises `OSError` when a path is missing or the kernel refuses.
    """
    abi = syscalls.landlock_abi()
    ruleset = syscalls.landlock_ruleset(ruleset_attributes(abi))
    rules = [(path, READ) for path in readable] + [(path, WRITE) for path in writable]
    for path, access in rules:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
            allowed = granted(access, folder=folder, abi=abi)
            syscalls.landlock_allow_path(ruleset, struct.pack("=Qi", allowed, descriptor))
        finally:
            os.close(descriptor)
    syscalls.landlock_restrict(ruleset)
    os.close(ruleset)
