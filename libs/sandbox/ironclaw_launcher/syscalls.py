"""System calls that the standard library lacks, through the C library: each raises `OSError` on failure."""

import ctypes
import os

_libc = ctypes.CDLL(None, use_errno=True)

# linux/sched.h
CLONE_NEWNS = 0x0002_0000
CLONE_NEWCGROUP = 0x0200_0000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

# linux/mount.h
MS_NOSUID, MS_NODEV, MS_NOEXEC = 0x2, 0x4, 0x8
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x4_0000
MNT_DETACH = 0x2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID = 0x1, 0x2

# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP = 1, 4, 22
_PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 24, 36, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x2008_0522
_CAPABILITIES_MAX = 64

# The same numbers on every architecture that has them (they came after the tables were unified).
_NR_MOUNT_SETATTR = 442
_NR_LANDLOCK_CREATE_RULESET, _NR_LANDLOCK_ADD_RULE, _NR_LANDLOCK_RESTRICT_SELF = 444, 445, 446
_NR_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_NR_CAPSET = {"x86_64": 126, "aarch64": 91}


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _prctl(what: str, option: int, *arguments: int) -> None:
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)][:4]
    _checked(_libc.prctl(option, *values), what)


def die_with_parent(number: int) -> None:
    """Ask the kernel for signal `number` when the parent dies. A change of credentials cancels it."""
    _prctl("PR_SET_PDEATHSIG", _PR_SET_PDEATHSIG, number)


def hide_from_siblings() -> None:
    """Make this process's memory, descriptors and root unreachable for others of its user."""
    _prctl("PR_SET_DUMPABLE", _PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of descendants whose parent dies."""
    _prctl("PR_SET_CHILD_SUBREAPER", _PR_SET_CHILD_SUBREAPER, 1)


def forbid_new_privileges() -> None:
    """Make set-user-id bits and file capabilities mean nothing from here on."""
    _prctl("PR_SET_NO_NEW_PRIVS", _PR_SET_NO_NEW_PRIVS, 1)


def install_filter(program: bytes) -> None:
    """Install a seccomp program (BPF, 8 bytes an instruction)."""
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    header = Program(len(program) // 8, ctypes.addressof(code))
    _prctl("PR_SET_SECCOMP", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header))


def drop_capabilities() -> None:
    """Give up every capability, for this process and all that it starts."""
    for number in range(_CAPABILITIES_MAX):
        try:
            _prctl("PR_CAPBSET_DROP", _PR_CAPBSET_DROP, number)
        except OSError:
            # Past the last capability of this kernel, or already without the right to drop.
            break
    _prctl("PR_CAP_AMBIENT", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _checked(_libc.syscall(_NR_CAPSET[os.uname().machine], header, (ctypes.c_uint32 * 6)()), "capset")


def unshare(flags: int) -> None:
    """Leave the parent's namespaces named by `flags` (CLONE_NEW...)."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount; `kind` is a file system type or None, `data` its options."""
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    options = None if data is None else data.encode()
    _checked(_libc.mount(*encoded, ctypes.c_ulong(flags), options), f"mount {kind or 'bind'} on {target}")


def protect_mounts(target: str, attributes: int, *, below: bool) -> None:
    """Set attributes on the mount at `target`, and on all `below` it (mount_setattr, Linux 5.12)."""
    attr = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    flags = _AT_RECURSIVE if below else 0
    arguments = (_AT_FDCWD, os.fsencode(target), flags, attr, ctypes.c_size_t(ctypes.sizeof(attr)))
    _checked(_libc.syscall(_NR_MOUNT_SETATTR, *arguments), f"mount_setattr on {target}")


def pivot_root(new_root: str, old_root: str) -> None:
    """Make `new_root` the root folder; the old one is then at `old_root`, a folder below it."""
    arguments = (os.fsencode(new_root), os.fsencode(old_root))
    _checked(_libc.syscall(_NR_PIVOT_ROOT[os.uname().machine], *arguments), f"pivot_root to {new_root}")


def let_go(target: str) -> None:
    """Detach the mount at `target` and all below it."""
    _checked(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount of {target}")


def landlock_abi() -> int:
    """Return the version of Landlock that the kernel offers; raise `OSError` when it offers none."""
    return _checked(_libc.syscall(_NR_LANDLOCK_CREATE_RULESET, None, 0, 1), "landlock")


def landlock_ruleset(attributes: bytes) -> int:
    """Create a ruleset from a `struct landlock_ruleset_attr`; return its descriptor."""
    return _checked(
        _libc.syscall(_NR_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0),
        "landlock_create_ruleset",
    )


def landlock_allow_path(ruleset: int, attributes: bytes) -> None:
    """Add a `struct landlock_path_beneath_attr` to a ruleset."""
    _checked(_libc.syscall(_NR_LANDLOCK_ADD_RULE, ruleset, 1, attributes, 0), "landlock_add_rule")


def landlock_restrict(ruleset: int) -> None:
    """Put this process, and all that it starts, under the ruleset."""
    _checked(_libc.syscall(_NR_LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
