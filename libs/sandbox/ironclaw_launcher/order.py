"""What the launcher is told, as JSON on its socket, and what it answers. Shared with the caller; pure."""

from typing import Literal, NamedTuple, TypedDict

MountKind = Literal["read", "write", "link", "scratch", "devices", "processes", "seal"]

Cause = Literal["exited", "timeout", "cpu_limit", "memory_limit", "process_limit", "disk_limit", "stopped"]
"""Why the warden ended the command's processes."""

Stage = Literal["setup", "start"]
"""What could not be done: building the sandbox, or starting the command in it."""


class Mount(NamedTuple):
    """One step of building the root folder: what appears at `target`.

    `source` is the path on the host (the text, for a link), `bytes` the size of a scratch file system.
    `seal` makes the file system at `target` itself read-only, not what is mounted below it.
    """

    kind: MountKind
    target: str
    source: str = ""
    bytes: int = 0


class Bounds(TypedDict):
    """Limits for all processes of the command together, unless said otherwise."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    processes: int
    file_bytes: int  # of one file
    written_bytes: int
    free_bytes: int  # that stay free on the disk
    open_files: int  # of one process


class LaunchOrder(TypedDict):
    """Everything that the launcher needs; paths are those inside."""

    tier: Literal["bubblewrap", "landlock", "off"]
    argv: list[str]
    environment: dict[str, str]
    folder: str
    inner_id: int
    network: bool
    mounts: list[Mount]
    writable: list[str]  # on the host's disks
    private: list[str]  # the sandbox's own: scratch file systems, devices
    bounds: Bounds


class Failed(TypedDict):
    """The answer when there is no command to watch; `number` is the errno, 0 when there is none."""

    failed: Stage
    number: int
    message: str


class Finished(TypedDict):
    """The answer at the end. `status` is the wait status of the command itself."""

    cause: Cause
    status: int
    wall_seconds: float
    user_seconds: float
    system_seconds: float
    memory_bytes_max: int
    processes_max: int
    written_bytes: int
