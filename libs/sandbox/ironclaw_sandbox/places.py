"""Follows the policy's paths on this machine. Reads the file system; blocking, so off the event loop."""

import contextlib
import os
import sys
from pathlib import Path

from ironclaw_launcher.order import Mount
from ironclaw_sandbox.errors import BadPolicy
from ironclaw_sandbox.policy import ETC, ETC_NETWORK, NEEDED, ROOT_NAMES, Places, Policy

_WILDCARDS = frozenset("*?[")
_OWN = ("/", "/proc", "/dev", "/sys", "/tmp", "/run", "/etc", "/usr", "/var", "/home")  # noqa: S108
"""Never bound whole: the sandbox has its own, or they hold what is none of a command's business."""


def locate(policy: Policy, folder: str) -> Places:
    """Resolve every path of a policy and the command's `folder`. Raises `BadPolicy` naming the field."""
    worktree = _folder("worktree", policy.worktree)
    writable = _writable(worktree, policy.fs_allowlist)
    inside = _below(worktree, folder, "folder")
    if not inside.is_dir():
        raise BadPolicy(f"folder: {folder!r} is no folder of the worktree")
    return Places(
        worktree=str(worktree),
        folder=str(inside),
        writable=tuple(map(str, writable)),
        protected=tuple(str(path) for root in writable for path in _git(root, worktree)),
        readable=tuple(
            [Mount("read", path, path) for path in interpreter()[1]]
            + [_readable(path) for path in policy.readable]
        ),
        system=tuple(_system(network=policy.network)),
    )


def _folder(field: str, path: Path) -> Path:
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as problem:
        raise BadPolicy(f"{field}: {str(path)[:200]!r} cannot be resolved: {problem}") from problem
    if not path.is_absolute() or not resolved.is_dir() or str(resolved) in _OWN:
        raise BadPolicy(f"{field}: {str(path)[:200]!r} must be an absolute folder, and none of the system's")
    return resolved


def _writable(worktree: Path, allowlist: tuple[str, ...]) -> list[Path]:
    """Return the folders and files that may be written, without those below another."""
    found = sorted({_below(worktree, _literal(entry), "fs_allowlist") for entry in allowlist})
    for path in found:
        try:
            if not path.exists():
                path.mkdir(parents=True)
        except OSError as problem:
            raise BadPolicy(
                f"fs_allowlist: {str(path)[:200]!r} cannot be made: {problem.strerror}"
            ) from problem
    return [path for path in found if not any(path.is_relative_to(other) for other in found if other != path)]


def _literal(entry: str) -> str:
    """Return the part of an allow-list entry before its first component with a wildcard."""
    parts = entry.split("/")
    plain = next((place for place, part in enumerate(parts) if _WILDCARDS & set(part)), len(parts))
    return "/".join(parts[:plain]) or ("." if plain < len(parts) else entry)


def _below(worktree: Path, name: str, field: str) -> Path:
    """Return a path inside the worktree after following its links. Raises `BadPolicy`."""
    if not name or "\x00" in name or name.startswith(("/", "~")):
        raise BadPolicy(f"{field}: {name[:200]!r} must be a path relative to the worktree")
    try:
        resolved = (worktree / name).resolve()
        with contextlib.suppress(FileNotFoundError):
            resolved.stat()
    except (OSError, RuntimeError, ValueError) as problem:
        raise BadPolicy(f"{field}: {name[:200]!r} cannot be resolved: {problem}") from problem
    if not resolved.is_relative_to(worktree):
        raise BadPolicy(f"{field}: {name[:200]!r} leads out of the worktree to {resolved}")
    if ".git" in {part.casefold() for part in resolved.relative_to(worktree).parts}:
        raise BadPolicy(f"{field}: {name[:200]!r} leads into .git, which no command may write")
    return resolved


def _git(root: Path, worktree: Path) -> list[Path]:
    """Return the `.git` to protect below a writable folder, made where a command could plant one."""
    git = root / ".git"
    if git.is_symlink():
        raise BadPolicy(f"worktree: {git} is a link: a worktree has a file or a folder there")
    if root == worktree:
        try:
            git.mkdir()
        except FileExistsError:
            return [git]
        except OSError as problem:
            raise BadPolicy(f"worktree: {git} cannot be made: {problem.strerror}") from problem
    return [git] if git.exists() else []


def _readable(path: Path) -> Mount:
    try:
        source = path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as problem:
        raise BadPolicy(f"readable: {str(path)[:200]!r} cannot be resolved: {problem}") from problem
    if not path.is_absolute() or ".." in path.parts or {str(path), str(source)} & set(_OWN):
        raise BadPolicy(
            f"readable: {str(path)[:200]!r} must be absolute, plain, and not a system folder as a whole"
        )
    return Mount("read", str(path), str(source))


def interpreter() -> tuple[str, list[str]]:
    """Return the Python that runs the launcher, and the folders that it needs."""
    executable = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    folders = {Path(sys.base_prefix).resolve(), Path(sys.base_exec_prefix).resolve()}
    if not any(executable.is_relative_to(folder) for folder in folders):
        folders.add(executable.parent)
    shown = [folder for folder in sorted(folders) if not any(folder.is_relative_to(top) for top in NEEDED)]
    return str(executable), [str(folder) for folder in shown]


def _system(*, network: bool) -> list[Mount]:
    mounts = [Mount("read", path, path) for path in NEEDED if Path(path).is_dir()]
    for name in ROOT_NAMES:
        if Path(name).is_symlink():
            mounts.append(Mount("link", name, os.readlink(name)))  # noqa: PTH115 - the text of the link
        elif Path(name).is_dir():
            mounts.append(Mount("read", name, name))
    for name in (*ETC, *(ETC_NETWORK if network else ())):
        source = Path("/etc", name).resolve()
        if source.exists():
            mounts.append(Mount("read", f"/etc/{name}", str(source)))
    return mounts
