"""The environment inside: an allow-list of the host's, and what the command asks for. Pure."""

import re
from collections.abc import Mapping, Sequence

from ironclaw_sandbox.errors import BadPolicy
from ironclaw_sandbox.policy import HOME

INHERITED = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""The only names that are taken over from the service: they change how text reads, and hold no secret."""
SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")
_FIXED = {
    "HOME": HOME,
    "USER": "nobody",
    "LOGNAME": "nobody",
    "TMPDIR": "/tmp",  # noqa: S108 - inside, on a scratch file system
    "TERM": "dumb",
    "NO_COLOR": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


def scrubbed(
    host: Mapping[str, str], asked: Mapping[str, str], search_path: Sequence[str] = ()
) -> dict[str, str]:
    """Return the whole environment of a command.

    Raises `BadPolicy` for a name or value that no environment can hold, and for a relative search path,
    which would let the worktree name its own `git` or `python`.
    """
    for name, value in asked.items():
        if not _NAME.match(name):
            raise BadPolicy(f"environment: {name[:80]!r} is no variable name: use letters, digits and '_'")
        if "\x00" in value:
            raise BadPolicy(f"environment: the value of {name} holds a NUL character")
    for entry in search_path:
        if not entry.startswith("/") or ":" in entry or "\x00" in entry:
            raise BadPolicy(f"search_path: {entry[:200]!r} must be one absolute folder")
    taken = {name: host[name] for name in INHERITED if name in host}
    return {**_FIXED, "PATH": ":".join((*search_path, *SYSTEM_PATH)), **taken, **asked}
