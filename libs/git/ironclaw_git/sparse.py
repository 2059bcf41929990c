"""Worktrees in which only some folders are laid out: git's sparse checkout, in cone mode.

A folder that is laid out has its files, not its folders; each of those is laid out for itself or not at all
(git-sparse-checkout(1), "parent" patterns). git is told by the worktree's `info/sparse-checkout` what is left
out on purpose, and by the marks in its index (`stagefile`).
"""

import re
from collections.abc import Iterable
from pathlib import Path

from ironclaw_git.environment import Settings
from ironclaw_git.errors import UnsafePath
from ironclaw_git.layout import Layout
from ironclaw_git.paths import check_relative_path

_PATTERNS = ("info", "sparse-checkout")
_HEADER = b"# laid out by ironclaw: the files of the root, and of the folders below\n/*\n!/*/\n"
_GLOB = re.compile(rb"([*?\[])")
_ESCAPED = re.compile(rb"\\(.)")
_SETTINGS: Settings = (
    ("core.sparseCheckout", "true"),
    ("core.sparseCheckoutCone", "true"),
    ("index.sparse", "true"),
)

Folders = frozenset[bytes]
"""The folders that are laid out, the root (empty) among them, and with each those that it lies in."""


def folders_of(paths: Iterable[str]) -> Folders | None:
    """Return the folders that have to be laid out for these files to be there; None for all of them. Pure."""
    folders = {b""}
    for path in paths:
        try:
            *above, _ = check_relative_path(path).encode().split(b"/")
        except UnsafePath:  # whoever opens it will say so
            return None
        folders |= {b"/".join(above[: depth + 1]) for depth in range(len(above))}
    return frozenset(folders)


def is_laid_out(folders: Folders, path: bytes) -> bool:
    """Say whether a file at this path would be in the worktree. Pure."""
    return path.rpartition(b"/")[0] in folders


def encode_patterns(folders: Folders) -> bytes:
    """Return the text of `info/sparse-checkout`. Pure."""
    patterns = (_GLOB.sub(rb"\\\1", folder) for folder in sorted(folders) if folder)
    return _HEADER + b"".join(b"/%s/\n!/%s/*/\n" % (pattern, pattern) for pattern in patterns)


def parse_patterns(text: bytes) -> Folders | None:
    """Return the folders of what `encode_patterns` wrote, None for what somebody else did. Pure."""
    if not text.startswith(_HEADER):
        return None
    lines = (line for line in text.split(b"\n") if line.startswith(b"/") and line.endswith(b"/"))
    return frozenset({b"", *(_ESCAPED.sub(rb"\1", line[1:-1]) for line in lines)})


def write_folders(git_dir: Path, folders: Folders | None) -> None:
    """Write which folders of a linked worktree are laid out; None when all are. Blocking."""
    place = git_dir.joinpath(*_PATTERNS)
    if folders is None:
        place.unlink(missing_ok=True)
        return
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(encode_patterns(folders))


def read_folders(layout: Layout) -> Folders | None:
    """Return which folders of a worktree of ours are laid out; None when all are. Blocking."""
    if not layout.linked:
        return None
    try:
        return parse_patterns(layout.git_dir.joinpath(*_PATTERNS).read_bytes())
    except FileNotFoundError:
        return None


def sparse_settings(layout: Layout) -> Settings:
    """Return what git has to be told besides, so that it goes by these folders. Blocking."""
    return () if read_folders(layout) is None else _SETTINGS
