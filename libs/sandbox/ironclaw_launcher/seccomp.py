"""The system call filter as a BPF program. Pure.

It takes away what namespaces do not: kernel surface that no build tool needs, address families that no
network namespace covers (vsock, AF_ALG), and ways to hide memory, disk or processes from the warden.
"""

import errno
import struct
from collections.abc import Sequence

NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "clone3": (435, 435),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "fallocate": (285, 47),
    "clone": (56, 220),
    "ioctl": (16, 29),
    "socket": (41, 198),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "open": (2, None),
    "creat": (85, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "mknod": (133, None),
    "mknodat": (259, 33),
}
"""Calls that are judged: their numbers on x86_64 and aarch64 (asm/unistd_64.h, asm-generic/unistd.h)."""
_ARCHITECTURES = {"x86_64": (0, 0xC000_003E), "aarch64": (1, 0xC000_00B7)}

_REFUSED = {
    # "No such call" makes the C library fall back: to clone and openat (whose arguments can be read here),
    # to plain reads, to temporary files (whose size counts).
    **dict.fromkeys(
        ("clone3", "openat2", "io_uring_setup", "io_uring_enter", "io_uring_register"), errno.ENOSYS
    ),
    **dict.fromkeys(("memfd_create", "memfd_secret"), errno.ENOSYS),
    # It can allocate blocks past the end of a file, which no file size limit sees.
    "fallocate": errno.EOPNOTSUPP,
}
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF_0000, 0x0005_0000, 0x8000_0000
_NR, _ARCH = 0, 4
_X32_BIT = 0x4000_0000
_MODE_ARGUMENT = {
    "chmod": 1,
    "fchmod": 1,
    "creat": 1,
    "mknod": 1,
    "fchmodat": 2,
    "fchmodat2": 2,
    "mknodat": 2,
}
_FLAGS_ARGUMENT = {"open": 1, "openat": 2}  # the mode comes next
_CREATES = 0x40_0040  # O_CREAT and the bit of O_TMPFILE: else the mode is not looked at
_SET_ID = 0o6000
JUDGED = frozenset(
    {
        *("clone", "ioctl", "socket", "prlimit64", "setpriority", "ioprio_set"),
        *("sched_setscheduler", "sched_setparam", "sched_setattr"),
        *_MODE_ARGUMENT,
        *_FLAGS_ARGUMENT,
    }
)
"""Calls that are refused only with some arguments."""
_NAMESPACES = 0x7E02_0000  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_WARDEN = 1  # its process id inside
_PRIO_PROCESS, _IOPRIO_WHO_PROCESS = 0, 1

_Block = list[bytes]


def architectures() -> Sequence[str]:
    """Return the machine names for which there is a filter."""
    return tuple(_ARCHITECTURES)


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _argument(index: int) -> int:
    """Return the offset of an argument's low half (both architectures are little-endian)."""
    return 16 + 8 * index


def _refuse(number: int) -> bytes:
    return _op(_RETURN, _ERRNO | number)


def _if_any_bit(index: int, bits: int, error: int) -> _Block:
    return [_op(_LOAD, _argument(index)), _op(_ANY_BIT, bits, 0, 1), _refuse(error)]


def _if_equal(index: int, values: Sequence[int], error: int) -> _Block:
    block = [_op(_LOAD, _argument(index))]
    for value in values:
        block += [_op(_EQUAL, value, 0, 1), _refuse(error)]
    return block


def _unless_equal(index: int, values: Sequence[int], error: int) -> _Block:
    block = [_op(_LOAD, _argument(index))]
    block += [_op(_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)]
    return [*block, _refuse(error)]


def _judged(name: str, families: Sequence[int]) -> _Block:
    """Return the instructions that refuse a call by its arguments; they fall through to go on."""
    match name:
        case "clone":
            return _if_any_bit(0, _NAMESPACES, errno.EPERM)
        case "ioctl":
            return _if_equal(1, (_TIOCSTI, _TIOCLINUX), errno.EPERM)
        case "socket":
            return _unless_equal(0, families, errno.EAFNOSUPPORT)
        case "setpriority":
            return [*_unless_equal(0, (_PRIO_PROCESS,), errno.EPERM), *_if_equal(1, (_WARDEN,), errno.EPERM)]
        case "ioprio_set":
            allowed = _unless_equal(0, (_IOPRIO_WHO_PROCESS,), errno.EPERM)
            return [*allowed, *_if_equal(1, (_WARDEN,), errno.EPERM)]
        case _ if name in _MODE_ARGUMENT:
            # What is made belongs to the service's user on the host: such a bit would lend it to anyone.
            return _if_any_bit(_MODE_ARGUMENT[name], _SET_ID, errno.EPERM)
        case _ if name in _FLAGS_ARGUMENT:
            flags = _FLAGS_ARGUMENT[name]
            mode = _if_any_bit(flags + 1, _SET_ID, errno.EPERM)
            return [_op(_LOAD, _argument(flags)), _op(_ANY_BIT, _CREATES, 0, len(mode)), *mode]
        case _:
            return _if_equal(0, (_WARDEN,), errno.EPERM)


def program(machine: str, *, unix_sockets: bool) -> bytes:
    """Return the filter for `machine` (`os.uname().machine`).

    `unix_sockets` is False where abstract sockets of the host would be in reach: then none can be made.
    Raises `ValueError` for a machine without a table.
    """
    if machine not in _ARCHITECTURES:
        raise ValueError(f"no system call filter for {machine}: there is one for {', '.join(_ARCHITECTURES)}")
    column, arch = _ARCHITECTURES[machine]
    families = (_AF_INET, _AF_INET6, _AF_NETLINK) + ((_AF_UNIX,) if unix_sockets else ())
    code = [
        _op(_LOAD, _ARCH),
        # 32-bit calls have other numbers, so they cannot be judged.
        _op(_EQUAL, arch, 1, 0),
        _op(_RETURN, _KILL_PROCESS),
        _op(_LOAD, _NR),
    ]
    if machine == "x86_64":
        code += [_op(_ANY_BIT, _X32_BIT, 0, 1), _refuse(errno.ENOSYS)]
    for name, numbers in NUMBERS.items():
        number = numbers[column]
        if number is None:
            continue
        if name in JUDGED:
            block = [*_judged(name, families), _op(_RETURN, _ALLOW)]
        else:
            block = [_refuse(_REFUSED.get(name, errno.EPERM))]
        code += [_op(_EQUAL, number, 0, len(block)), *block]
    return b"".join([*code, _op(_RETURN, _ALLOW)])
