"""The Landlock tier's namespaces: an unprivileged user, and a root folder with only what is bound."""

import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path

from ironclaw_launcher import syscalls
from ironclaw_launcher.order import Mount

_OLD, _NEW = "/old", "/new"
_STAGE = "/tmp"  # noqa: S108 - only a mount point, in a mount namespace of our own
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_SAFE = syscalls.MS_NOSUID | syscalls.MS_NODEV
_INODES_MAX = 200_000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def unshare_all(*, inner_id: int, network: bool) -> None:
    """Enter new namespaces; the next child is process 1 of its own. `network` keeps the host's network.

    The user outside is `inner_id` inside and has no other id there. Raises `OSError`.
    """
    user, group = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{inner_id} {group} 1", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{inner_id} {user} 1", encoding="ascii")
    flags = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC
    flags |= syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP
    syscalls.unshare(flags if network else flags | syscalls.CLONE_NEWNET)
    socket.sethostname("sandbox")
    if not network:
        _raise_loopback()


def _raise_loopback() -> None:
    """Bring the empty network's own 127.0.0.1 up: test suites talk to themselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        name = b"lo".ljust(16, b"\0")
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, name + bytes(16))
        (flags,) = struct.unpack_from("=H", answer, 16)
        fcntl.ioctl(control, _SIOCSIFFLAGS, name + struct.pack("=H", flags | _IFF_UP) + bytes(14))


def build_root(mounts: Sequence[Mount]) -> None:
    """Make a root folder of `mounts`, in their order, and enter it. Raises `OSError`."""
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    # Two steps, so that what lies below the stage can be bound too.
    syscalls.mount("tmpfs", _STAGE, "tmpfs", _SAFE, "mode=0755,size=1m")
    for folder in (_OLD, _NEW):
        os.mkdir(_STAGE + folder)  # noqa: PTH102 - a path of the kernel's view
    syscalls.pivot_root(_STAGE, _STAGE + _OLD)
    os.chdir("/")
    syscalls.mount(_NEW, _NEW, None, syscalls.MS_BIND)
    for mount in mounts:
        _place(mount)
    syscalls.let_go(_OLD)
    os.chdir(_NEW)
    # Stacking the old root upon the new one needs no folder for it (pivot_root(2), notes).
    syscalls.pivot_root(".", ".")
    syscalls.let_go(".")
    os.chdir("/")


def _place(mount: Mount) -> None:
    target = _NEW + mount.target
    match mount.kind:
        case "link":
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(target).symlink_to(mount.source)
        case "read" | "write":
            _bind(mount.source, target, writable=mount.kind == "write")
        case "scratch":
            Path(target).mkdir(parents=True, exist_ok=True)
            options = f"mode=1777,size={mount.bytes},nr_inodes={_INODES_MAX}"
            syscalls.mount("tmpfs", target, "tmpfs", _SAFE, options)
        case "processes":
            Path(target).mkdir(parents=True, exist_ok=True)
            syscalls.mount("proc", target, "proc", _SAFE | syscalls.MS_NOEXEC)
        case "devices":
            _devices(Path(target))
        case "seal":
            syscalls.protect_mounts(target, syscalls.MOUNT_ATTR_RDONLY, below=False)


def _bind(source: str, target: str, *, writable: bool) -> None:
    _mount_point(_OLD + source, Path(target))
    syscalls.mount(_OLD + source, target, None, syscalls.MS_BIND | syscalls.MS_REC)
    attributes = syscalls.MOUNT_ATTR_NOSUID | (0 if writable else syscalls.MOUNT_ATTR_RDONLY)
    syscalls.protect_mounts(target, attributes, below=True)


def _mount_point(source: str, target: Path) -> None:
    if target.exists():
        return
    if Path(source).is_dir():
        target.mkdir(parents=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()


def _devices(target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    syscalls.mount("tmpfs", str(target), "tmpfs", syscalls.MS_NOSUID, "mode=0755,size=64k")
    for name in _DEVICES:
        _bind(f"/dev/{name}", f"{target}/{name}", writable=True)
    terminals = target / "pts"
    terminals.mkdir()
    options = "newinstance,ptmxmode=0666,mode=0620"
    syscalls.mount("devpts", str(terminals), "devpts", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, options)
    for name, text in _DEVICE_LINKS.items():
        (target / name).symlink_to(text)
    # Where the sandbox's own shared memory is mounted next.
    (target / "shm").mkdir()
