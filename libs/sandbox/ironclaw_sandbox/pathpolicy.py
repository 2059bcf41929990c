"""Which paths a change may touch: the order's allow-list, protected names, links and sizes. Pure.

The sandbox keeps a command inside; this judges the change that comes out of it, whoever made it.
"""

import posixpath
import re
import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from fnmatch import fnmatchcase

from msgspec import Struct

# Names that HFS+ or NTFS take for `.git` (CVE-2014-9390, CVE-2019-1353).
_GIT = re.compile(r"\A(?:\.git|git~[0-9]+)(?:[ .]*|[ .]*:.*)\Z", re.DOTALL)
_IGNORED = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_CONTROL = {"Cc", "Cs", "Zl", "Zp"}
# git runs what these say, on the machine of whoever checks the tree out.
PROTECTED = (".gitmodules", ".ironclaw/*")


class Breach(StrEnum):
    """What is wrong with a path."""

    UNSAFE_NAME = "unsafe_name"
    GIT = "git"
    PROTECTED = "protected"
    NOT_ALLOWED = "not_allowed"
    LINK_OUTSIDE = "link_outside"
    SUBMODULE = "submodule"
    TOO_LARGE = "too_large"


class Change(Struct, frozen=True):
    """One path that a change writes or removes. `mode` is git's (0 for a removal), `bytes` the new size.

    `link` is the target when the mode is that of a symbolic link.
    """

    path: str
    mode: int = 0o100644
    bytes: int = 0
    link: str = ""


class PathRules(Struct, frozen=True, kw_only=True):
    """What a change may touch: patterns as in `tool_policy.fs_allowlist`, and sizes in bytes."""

    fs_allowlist: tuple[str, ...] = ("./",)
    protected: tuple[str, ...] = PROTECTED
    file_bytes_max: int = 16 * 1024 * 1024
    total_bytes_max: int = 256 * 1024 * 1024


class Violation(Struct, frozen=True):
    """One path that breaks a rule; `reason` is a sentence for people."""

    path: str
    breach: Breach
    reason: str


def judge_paths(changes: Iterable[Change], rules: PathRules) -> list[Violation]:
    """Return every violation, in the order of the changes; none means that the change keeps to its paths."""
    found: list[Violation] = []
    total = 0
    for change in changes:
        total += change.bytes
        if (wrong := _judge(change, rules)) is not None:
            found.append(Violation(change.path, *wrong))
    if total > rules.total_bytes_max:
        reason = f"the change is {total} bytes in all, more than {rules.total_bytes_max}"
        found.append(Violation("", Breach.TOO_LARGE, reason))
    return found


def _judge(change: Change, rules: PathRules) -> tuple[Breach, str] | None:
    path = change.path
    parts = path.split("/")
    if any(unicodedata.category(mark) in _CONTROL for mark in path) or "\\" in path:
        return Breach.UNSAFE_NAME, "has control characters or a backslash"
    if path.startswith(("/", "~", "-")) or any(part in {"", ".", ".."} for part in parts):
        return Breach.UNSAFE_NAME, "is not a plain relative path"
    if any(_is_git(part) for part in parts):
        return Breach.GIT, "has a component that a file system could take for .git"
    if any(_covers(pattern, path.casefold()) for pattern in rules.protected):
        return Breach.PROTECTED, "is protected"
    if not any(_covers(entry, path) for entry in rules.fs_allowlist):
        return Breach.NOT_ALLOWED, f"is not under fs_allowlist {list(rules.fs_allowlist)}"
    if change.mode == 0o160000:
        return Breach.SUBMODULE, "is a submodule, which nobody reviewed"
    if change.mode == 0o120000 and _leads_out(path, change.link):
        return Breach.LINK_OUTSIDE, f"links to {change.link[:200]!r}, outside the tree"
    if change.bytes > rules.file_bytes_max:
        return Breach.TOO_LARGE, f"is {change.bytes} bytes, more than {rules.file_bytes_max}"
    return None


def _is_git(part: str) -> bool:
    plain = _IGNORED.sub("", unicodedata.normalize("NFKC", part)).casefold()
    return _GIT.match(plain) is not None


def _covers(entry: str, path: str) -> bool:
    """Tell whether an allow-list entry (`./`, `src/`, `src/*.py`) covers a path."""
    plain = entry.removeprefix("./")
    if plain in {"", "*", "."}:
        return True
    return path == plain or path.startswith(plain.rstrip("/") + "/") or fnmatchcase(path, plain)


def _leads_out(path: str, link: str) -> bool:
    """Tell whether a link's text names a place outside the tree, or inside `.git`."""
    if not link or link.startswith("/"):
        return True
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return target.split("/")[0] == ".." or any(_is_git(part) for part in target.split("/"))
