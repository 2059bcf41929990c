"""What a command may reach and use, and the root folder that follows from it. Pure."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from ironclaw_launcher.order import Mount

MIB = 1024 * 1024
Count = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0)]

INNER_ID = 65534
"""The user and group inside: nobody, on every distribution."""
HOME = "/tmp/home"  # noqa: S108 - inside, on a scratch file system
LAUNCHER_FOLDER = "/run/ironclaw"
"""Where bubblewrap shows the launcher; nothing else of this installation's paths is seen."""

DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty"))
SCRATCH = ("/tmp", "/dev/shm")  # noqa: S108 - inside
PRIVATE = (*SCRATCH, "/dev/pts", *DEVICES)
"""Writable inside, and on no disk of the host."""

NEEDED = ("/usr", "/nix/store")
"""System folders that are shown whole, where they exist. They hold software, never data."""
ROOT_NAMES = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr, or folders of their own on older systems."""
ETC = (
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf"),
    *("passwd", "group", "hosts", "protocols", "services", "mime.types", "magic", "terminfo", "os-release"),
    *("ssl/certs", "ssl/openssl.cnf", "ca-certificates", "ca-certificates.conf", "pki", "crypto-policies"),
    *("python3", "perl", "fonts", "java", "maven"),
)
"""What programs look up in /etc: no keys, no host or user configuration."""
ETC_NETWORK = ("resolv.conf", "host.conf", "gai.conf")


class Limits(Struct, frozen=True, kw_only=True):
    """Limits of one command, for all its processes together unless said otherwise.

    `processes` counts threads too; `file_bytes` is of one file; `written_bytes` what reaches a disk, and
    `free_bytes` what must stay free there; `output_bytes` of stdout and stderr each; `scratch_bytes` the
    size of /tmp; `open_files` of one process.
    """

    cpu_seconds: Seconds = 300.0
    wall_seconds: Seconds = 600.0
    memory_bytes: Annotated[int, Meta(ge=16 * MIB)] = 2048 * MIB
    processes: Count = 512
    file_bytes: Annotated[int, Meta(ge=0)] = 1024 * MIB
    written_bytes: Annotated[int, Meta(ge=0)] = 4096 * MIB
    free_bytes: Annotated[int, Meta(ge=0)] = 256 * MIB
    output_bytes: Annotated[int, Meta(ge=0)] = 4 * MIB
    scratch_bytes: Annotated[int, Meta(ge=MIB)] = 512 * MIB
    open_files: Annotated[int, Meta(ge=16)] = 1024


class Policy(Struct, frozen=True, kw_only=True):
    """What a command may reach.

    `worktree` is seen whole; of it, `fs_allowlist` is writable (relative paths; a pattern grants the folder
    before its first wildcard, and a folder that is missing is made). Its `.git` stays read-only; where there
    is none, an empty one is put, so that no command can plant a repository. `readable` are further absolute
    paths of the host, shown read-only at the same place. `network` joins the host's network: see
    `network_allowed`.
    """

    worktree: Path
    fs_allowlist: tuple[str, ...] = ("./",)
    readable: tuple[Path, ...] = ()
    network: bool = False
    limits: Limits = Limits()


class Command(Struct, frozen=True, kw_only=True):
    """What to run: `argv` as it is, never through a shell; `folder` relative to the worktree.

    `environment` is added to the scrubbed one; `search_path` goes before the system's PATH.
    """

    argv: tuple[str, ...]
    folder: str = "."
    environment: dict[str, str] = field(default_factory=dict[str, str])
    search_path: tuple[str, ...] = ()
    stdin: bytes = b""


class Places(Struct, frozen=True, kw_only=True):
    """The policy's paths after every link was followed, and what this system has of its own.

    `system` are mounts of software; `readable` begins with what the launcher itself runs on.
    """

    worktree: str
    folder: str
    writable: tuple[str, ...]
    protected: tuple[str, ...]
    readable: tuple[Mount, ...]
    system: tuple[Mount, ...]


def network_allowed(*, asked: bool, theater_allows: bool) -> bool:
    """Return whether a command joins the host's network: only when its order asks and its theater allows."""
    return asked and theater_allows


def root_folder(policy: Policy, places: Places) -> tuple[Mount, ...]:
    """Return the steps that build the root folder, in order: what comes later covers what came before."""
    worktree_kind = "write" if places.worktree in places.writable else "read"
    return (
        *places.system,
        Mount("processes", "/proc"),
        Mount("seal", "/proc"),
        Mount("devices", "/dev"),
        Mount("scratch", "/dev/shm", bytes=min(64 * MIB, policy.limits.scratch_bytes)),  # noqa: S108
        Mount("scratch", "/tmp", bytes=policy.limits.scratch_bytes),  # noqa: S108
        *places.readable,
        Mount(worktree_kind, places.worktree, places.worktree),
        *(Mount("write", path, path) for path in places.writable if path != places.worktree),
        *(Mount("read", path, path) for path in places.protected),
        Mount("seal", "/dev"),
        Mount("seal", "/"),
    )
