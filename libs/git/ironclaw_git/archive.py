"""An attempt's work as files that outlive the repository: a bundle of its commits, a tar of the rest."""

import asyncio
import hashlib
import io
import os
import secrets
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from ironclaw_git.changes import find_changes, read_beneath
from ironclaw_git.checkout import worktree_layout
from ironclaw_git.errors import GitError
from ironclaw_git.names import branch_ref, check_attempt, check_id, salvage_ref
from ironclaw_git.paths import absolute
from ironclaw_git.repository import Repository

_BUNDLE_TIMEOUT_SECONDS = 300.0
_EMPTY_BUNDLE = "empty bundle"


class Archived(Struct, frozen=True):
    """What was written. `sha256` is that of the list of hashes beside the files, which `sha256sum -c` reads.

    `bundle_path` is None without commits of its own, `tar_path` without changed files; `deleted` are the
    tracked files that were gone. `size` in bytes, of bundle and tar together.
    """

    bundle_path: Path | None
    tar_path: Path | None
    sums_path: Path
    sha256: str
    size: int
    deleted: list[str]


async def archive(
    repo: Repository,
    worktree_path: str | Path,
    branch: str,
    destination_dir: str | Path,
    order_id: str,
    attempt: int,
) -> Archived:
    """Write `<order>.<attempt>.bundle`, `.tar` and `.sha256` into `destination_dir`, durably and whole.

    The bundle has the commits of the branch, and of the attempt's salvage ref, that the mainline has not;
    restore it with `git fetch <bundle> '*:*'` where the mainline is. The tar has the changed and untracked
    files, in an order and with dates that make equal content equal bytes. Called again it replaces all three.
    """
    stem = f"{check_id(order_id, 'order_id')}.{check_attempt(attempt)}"
    refs = (branch_ref(branch), salvage_ref(order_id, attempt))
    destination = absolute(destination_dir)
    layout = worktree_layout(worktree_path, repo)
    root = Path(worktree_path) if layout.work_tree is None else layout.work_tree
    making = destination / f".{stem}.{secrets.token_hex(4)}"
    await asyncio.to_thread(making.mkdir, parents=True)
    try:
        changes = await find_changes(layout)
        await _write_bundle(repo, making / f"{stem}.bundle", refs)
        await asyncio.to_thread(
            _write_tar, making / f"{stem}.tar", root, sorted({*changes.modified, *changes.untracked})
        )
        return await asyncio.to_thread(_publish, making, destination, stem, sorted(changes.deleted))
    finally:
        await asyncio.to_thread(shutil.rmtree, making, True)


async def _write_bundle(repo: Repository, path: Path, refs: tuple[str, str]) -> None:
    branch, salvage = refs
    present = [branch, *(await repo.refs(salvage))]
    args = ("bundle", "create", "-q", str(path), *present, f"^{repo.mainline_ref}")
    answer = await repo.git(*args, check=False, timeout=_BUNDLE_TIMEOUT_SECONDS)
    if answer.returncode != 0 and _EMPTY_BUNDLE not in answer.stderr:
        raise GitError(
            f"{branch} cannot be bundled: {answer.stderr.strip()[-500:]}",
            command=args,
            returncode=answer.returncode,
            stderr=answer.stderr,
        )


def _write_tar(path: Path, root: Path, names: Iterable[bytes]) -> None:
    """Write the files that are there, links as links; no file is no tar."""
    found = ((name, stored) for name in names if (stored := read_beneath(root, name)) is not None)
    first = next(found, None)
    if first is None:
        return
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, (mode, data) in (first, *found):
            entry = tarfile.TarInfo(os.fsdecode(name))
            entry.mode = 0o755 if mode == 0o100755 else 0o644
            if mode == 0o120000:
                entry.type, entry.linkname = tarfile.SYMTYPE, os.fsdecode(data)
                tar.addfile(entry)
            else:
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))


def _publish(making: Path, destination: Path, stem: str, deleted: list[bytes]) -> Archived:
    """Hash, sync and move the files into place, the list of hashes last: where it stands, all stands."""
    files = [path for path in (making / f"{stem}.bundle", making / f"{stem}.tar") if path.exists()]
    sums = "".join(f"{_sha256(path)}  {path.name}\n" for path in files).encode()
    size = sum(path.stat().st_size for path in files)
    (making / f"{stem}.sha256").write_bytes(sums)
    for path in (*files, making / f"{stem}.sha256"):
        _sync(path)
        path.replace(destination / path.name)
    _sync(destination)
    placed = {path.suffix: destination / path.name for path in files}
    return Archived(
        bundle_path=placed.get(".bundle"),
        tar_path=placed.get(".tar"),
        sums_path=destination / f"{stem}.sha256",
        sha256=hashlib.sha256(sums).hexdigest(),
        size=size,
        deleted=[name.decode("utf-8", "backslashreplace") for name in deleted],
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
