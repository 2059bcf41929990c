"""When git has nothing to say about a file: what it holds is its bytes, and every file counts.

git's documentation names who may say otherwise: attributes (gitattributes(5)), ignore rules (gitignore(5)),
submodules, names that some file system takes for `.git`, and the configuration (see
`hardened.leaves_files_alone`). Where one of them might, work on a worktree is left to git itself
(decision 25). So a doubt costs time, no more.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ironclaw_git.errors import GitError
from ironclaw_git.paths import has_ignored_marks

FILES_MAX = 2_000
"""Beyond it git, in a process, is the faster one to ask."""
BYTES_MAX = 32 * 1024 * 1024
"""How many bytes of files are read in this process before it is left to git."""
STORED_MAX = 64
"""Files stored at once: beyond it git is the faster one, as it syncs each once and libgit2 its folder too."""
DEPTH_MAX = 64
"""Each level of folders holds a descriptor or two open."""
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a folder is opened to work in it: not through a link."""
FILE_MODES = frozenset({0o100644, 0o100755, 0o120000})
"""A file, one that runs, a link; what remains are submodules, and modes that only old versions wrote."""

_RULES_BYTES_MAX = 64 * 1024
# A prefix is enough, and so is any 8.3 short name (`git~1`, `gi7eba~1`): git's own tests are narrower.
_SPECIAL = re.compile(
    rb"\.{0,2}\Z|\.git(?:\Z|[ .:]|attributes|ignore|modules)|.*(?:~[0-9]|[/\\])", re.IGNORECASE | re.DOTALL
)


class LeftToGit(GitError):
    """git itself has to do this piece of work; caught where its process is started instead."""


def is_plain_name(name: bytes) -> bool:
    """Say whether a component of a path is UTF-8 and means nothing to git on any file system."""
    if _SPECIAL.match(name):
        return False
    if name.isascii():
        return True
    try:
        return not has_ignored_marks(name.decode())
    except UnicodeDecodeError:
        return False


def are_plain_names(names: Iterable[bytes]) -> bool:
    """Say whether all these components are plain; most folders are told from all their names at once."""
    known = list(names)
    joined = b"\0%b\0" % b"\0".join(known)
    marked = any(mark in joined for mark in (b"\0.", b"\0\0", b"~", b"/", b"\\"))
    return (joined.isascii() and not marked) or all(map(is_plain_name, known))


def require_no_rules(common_dir: Path) -> None:
    """Raise `LeftToGit` when a repository has attributes or ignore rules beside its trees; `OSError`."""
    for name in ("attributes", "exclude"):
        place = common_dir / "info" / name
        try:
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        with os.fdopen(descriptor, "rb") as file:
            text = file.read(_RULES_BYTES_MAX)
        if len(text) == _RULES_BYTES_MAX or any(
            line.strip() and not line.startswith(b"#") for line in text.split(b"\n")
        ):
            raise LeftToGit(f"{place} has rules")
