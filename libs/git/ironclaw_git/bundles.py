"""A whole repository as one file, and back."""

from pathlib import Path

from ironclaw_git.errors import GitError
from ironclaw_git.names import check_sha
from ironclaw_git.repository import Repository

_TIMEOUT_SECONDS = 3_600.0


async def bundle_all(repo: Repository, path: Path) -> str:
    """Write every ref of a repository to a bundle; return the mainline's commit in it."""
    await repo.git("bundle", "create", "-q", str(path), "--all", timeout=_TIMEOUT_SECONDS)
    listed = await repo.git("bundle", "list-heads", str(path), repo.mainline_ref)
    return check_sha(listed.line.split(" ", 1)[0])


async def restore_bundle(path: Path, target: Path, mainline: str, head: str) -> Repository:
    """Make a bare repository of a bundle at `target`, its mainline at `head`, and check every object.

    Raises `Occupied` when something stands there, `GitError` when the bundle or an object is damaged,
    `UnknownObject` when it does not hold `head`.
    """
    repository = await Repository.create(target, mainline)
    unbundled = await repository.git("bundle", "unbundle", str(path), timeout=_TIMEOUT_SECONDS)
    refs = [line.split(" ", 1) for line in unbundled.stdout.decode("utf-8", "surrogateescape").splitlines()]
    updates = [
        f"update {ref} {sha}"
        for sha, ref in refs
        if ref.startswith("refs/") and ref != repository.mainline_ref
    ]
    updates.append(f"update {repository.mainline_ref} {check_sha(head)}")
    commands = "".join(f"{line}\n" for line in updates).encode("utf-8", "surrogateescape")
    await repository.git("update-ref", "--stdin", input=commands)
    checked = await repository.git("fsck", "--strict", "--no-dangling", check=False, timeout=_TIMEOUT_SECONDS)
    if checked.returncode != 0:
        raise GitError(f"the repository in {path} is damaged: {checked.stderr.strip()[-500:]}")
    return repository
