"""What this kernel lets this user do, each really tried in a child of its own: the abilities of a machine."""

import json
import os
import sys
from collections.abc import Callable

from ironclaw_launcher import landlock, namespaces, seccomp, syscalls

_INNER_ID = 65534


def _try(what: Callable[[], None]) -> str:
    """Run `what` in a child; return what went wrong, empty when it worked."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            what()
        except (OSError, ValueError) as problem:
            os.write(tell, str(problem).encode()[:500])
        os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        problem = pipe.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    return problem or ("" if status == 0 else f"the trial ended with wait status {status}")


def _landlock() -> None:
    abi = syscalls.landlock_abi()
    if abi < landlock.ABI_NEEDED:
        raise ValueError(f"version {abi} of the kernel's Landlock, {landlock.ABI_NEEDED} is needed")
    syscalls.forbid_new_privileges()
    landlock.confine(["/"], ["/dev/null"])
    try:
        os.open("/", os.O_TMPFILE | os.O_WRONLY)
    except PermissionError:
        return
    except OSError as problem:
        raise ValueError(f"a forbidden write met another error: {problem}") from problem
    raise ValueError("a forbidden write went through")


def _filter() -> None:
    syscalls.forbid_new_privileges()
    syscalls.install_filter(seccomp.program(os.uname().machine, unix_sockets=True))
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    except PermissionError:
        return
    raise ValueError("a filtered call went through")


def _user() -> None:
    syscalls.unshare(syscalls.CLONE_NEWUSER)


def _with_user(flag: int) -> Callable[[], None]:
    def trial() -> None:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        syscalls.unshare(flag)

    return trial


def _root() -> None:
    namespaces.unshare_all(inner_id=_INNER_ID, network=False)
    inner = os.fork()
    if inner == 0:
        try:
            syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
            syscalls.mount("tmpfs", "/tmp", "tmpfs", syscalls.MS_NOSUID)  # noqa: S108 - a mount point
            syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID)
            syscalls.protect_mounts("/", syscalls.MOUNT_ATTR_RDONLY, below=True)
        except OSError as problem:
            os._exit(problem.errno or 1)
        os._exit(0)
    _, status = os.waitpid(inner, 0)
    if status != 0:
        number = os.waitstatus_to_exitcode(status)
        raise OSError(number, f"mounts of one's own: {os.strerror(abs(number))}")


def _accounting() -> None:
    with open("/proc/self/io", "rb") as file:  # noqa: PTH123 - the launcher keeps its imports few
        if b"write_bytes" not in file.read():
            raise ValueError("/proc/self/io does not count written bytes")


TRIALS: dict[str, Callable[[], None]] = {
    "system call filter": _filter,
    "landlock": _landlock,
    "user namespace": _user,
    "network namespace": _with_user(syscalls.CLONE_NEWNET),
    "process namespace": _with_user(syscalls.CLONE_NEWPID),
    "mount namespace": _with_user(syscalls.CLONE_NEWNS),
    "ipc namespace": _with_user(syscalls.CLONE_NEWIPC),
    "root folder of its own": _root,
    "disk accounting": _accounting,
}


def main() -> None:
    """Write to stdout, as JSON, what went wrong with each ability: empty text for what works."""
    sys.stdout.write(json.dumps({name: _try(trial) for name, trial in TRIALS.items()}))
