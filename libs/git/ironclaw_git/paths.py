"""Which paths inside a repository are accepted, and how a path is kept inside its root (TRUST row 13)."""

import errno
import re
import unicodedata
from pathlib import Path

from ironclaw_git.errors import UnsafePath

PATH_BYTES_MAX = 4_096
COMPONENT_BYTES_MAX = 255

# Code points that HFS+ ignores when it compares names (git's own list, utf8.c), and the bidi controls.
_IGNORED = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
# NTFS: an 8.3 short name, an alternate stream, trailing dots and spaces all reach `.git`.
_GIT_DIR = re.compile(r"\A(?:\.git|git~[0-9]+)(?:[ .]*|[ .]*:.*)\Z", re.DOTALL)
_REFUSED_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}


def is_git_dir_name(component: str) -> bool:
    """Say whether some file system would take this name for `.git` (CVE-2014-9390, CVE-2019-1353)."""
    plain = _IGNORED.sub("", unicodedata.normalize("NFKC", component)).casefold()
    return _GIT_DIR.match(plain) is not None


def has_ignored_marks(text: str) -> bool:
    """Say whether some file system would take this text for one without its invisible characters."""
    return _IGNORED.search(text) is not None


def check_relative_path(value: str) -> str:
    """Return `value` when it names a file inside a repository's tree; raise `UnsafePath` otherwise."""
    reason = _unsafe(value)
    if reason is not None:
        raise UnsafePath(
            f"path {value[:200]!r} {reason}: give a plain path relative to the repository's root"
        )
    return value


def _unsafe(value: str) -> str | None:
    """Return why `value` is no path inside a tree, or None when it is one."""
    if any(unicodedata.category(mark) in _REFUSED_CATEGORIES for mark in value):
        return "has control characters"
    if has_ignored_marks(value):
        return "has invisible characters"
    if "\\" in value:
        return "has a backslash"
    if len(value.encode()) > PATH_BYTES_MAX:
        return f"is longer than {PATH_BYTES_MAX} bytes"
    if value.startswith(("/", "~", "-")):
        return f"starts with {value[0]!r}"
    components = value.split("/")
    if any(component in {"", ".", ".."} for component in components):
        return "has an empty, '.' or '..' component"
    if any(len(component.encode()) > COMPONENT_BYTES_MAX for component in components):
        return f"has a component longer than {COMPONENT_BYTES_MAX} bytes"
    if any(is_git_dir_name(component) for component in components):
        return "has a component that a file system could take for .git"
    return None


def contained(root: Path, path: str | Path) -> Path:
    """Return `path` resolved through every link, when that is inside `root` (or `root` itself).

    `path` is absolute or relative to `root`; it need not exist. Raises `UnsafePath`. The answer holds for
    the moment: who can still write there can put a link in place afterwards.
    """
    text = str(path)
    if any(unicodedata.category(mark) in _REFUSED_CATEGORIES for mark in text):
        raise UnsafePath(f"path {text[:200]!r} has control characters")
    try:
        base = root.resolve(strict=True)
        resolved = (base / path).resolve()
        _check_ends(resolved)
    except (OSError, RuntimeError, ValueError) as problem:
        raise UnsafePath(f"path {text[:200]!r} cannot be resolved: {problem}") from problem
    if not resolved.is_relative_to(base):
        raise UnsafePath(f"path {text[:200]!r} leads out of {base}")
    return resolved


def _check_ends(path: Path) -> None:
    """Raise `OSError` for links that go in a circle; from Python 3.13 on `Path.resolve` does not."""
    try:
        path.stat()
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            raise


def absolute(path: str | Path) -> Path:
    """Return `path` with its parent resolved and its last component as it is; raise `UnsafePath`.

    The last component is not followed: a link standing where a worktree is expected is not the worktree.
    """
    text = str(path)
    given = Path(text)
    if not given.is_absolute() or ".." in given.parts or given == Path(given.anchor):
        raise UnsafePath(f"path {text[:200]!r} must be absolute, without '..', and not the root folder")
    if any(unicodedata.category(mark) in _REFUSED_CATEGORIES for mark in text):
        raise UnsafePath(f"path {text[:200]!r} has control characters")
    try:
        return given.parent.resolve() / given.name
    except (OSError, RuntimeError) as problem:
        raise UnsafePath(f"path {text[:200]!r} cannot be resolved: {problem}") from problem


def shown(path: bytes) -> str:
    """Return a path as git has it, for people and JSON; bytes that are not UTF-8 as `\\xNN`."""
    return path.decode("utf-8", "backslashreplace")
