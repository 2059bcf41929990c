"""The same sandbox in bubblewrap's words. Pure."""

from collections.abc import Sequence
from typing import assert_never

from ironclaw_launcher.order import Mount
from ironclaw_sandbox.policy import INNER_ID

VERSION_NEEDED = (0, 8)
"""The first with --disable-userns."""


def arguments(mounts: Sequence[Mount], *, network: bool, first: Sequence[str] = ()) -> list[str]:
    """Return the arguments of bwrap, up to and without `--` and the launcher's command line.

    `first` goes before the mounts, so that it is there before the root folder is sealed.
    """
    return [
        "--unshare-all",
        *(["--share-net"] if network else []),
        "--unshare-user",
        "--disable-userns",
        *("--uid", str(INNER_ID), "--gid", str(INNER_ID)),
        *("--hostname", "sandbox"),
        *("--cap-drop", "ALL"),
        "--clearenv",
        "--new-session",
        "--die-with-parent",
        # The launcher is process 1 itself: it reaps, watches and ends all others.
        "--as-pid-1",
        *first,
        *(word for mount in mounts for word in _step(mount)),
        *("--chdir", "/"),
    ]


def _step(mount: Mount) -> list[str]:
    match mount.kind:
        case "read":
            return ["--ro-bind", mount.source, mount.target]
        case "write":
            return ["--bind", mount.source, mount.target]
        case "link":
            return ["--symlink", mount.source, mount.target]
        case "scratch":
            return ["--perms", "1777", "--size", str(mount.bytes), "--tmpfs", mount.target]
        case "devices":
            return ["--dev", mount.target]
        case "processes":
            return ["--proc", mount.target]
        case "seal":
            return ["--remount-ro", mount.target]
        case _:
            assert_never(mount.kind)


def parse_version(text: str) -> tuple[int, ...] | None:
    """Read the answer of `bwrap --version`: `bubblewrap 0.8.0`."""
    words = text.split()
    if len(words) < 2 or words[0] != "bubblewrap":
        return None
    return tuple(int(part) for part in words[1].split(".") if part.isdecimal())
