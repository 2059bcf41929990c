"""A commit with all of its history, written from one repository into another."""

from ironclaw_git.errors import NotARepository, UnknownObject
from ironclaw_git.merge import swap_ref
from ironclaw_git.names import check_sha
from ironclaw_git.repository import Repository

_TIMEOUT_SECONDS = 300.0


async def begin_at(target: Repository, source: Repository, commit: str) -> None:
    """Make `commit` of another repository the mainline of one that holds nothing yet.

    The pack is written by the source's own objects, without a transport, so that neither side's configuration
    has a say. Raises `UnknownObject` when the source does not have the commit, `NotARepository` for a shallow
    source, `StaleRef` when the target's mainline moved meanwhile.
    """
    if (source.git_dir / "shallow").exists():
        raise NotARepository(
            f"{source.git_dir} is a shallow clone, its history cannot be copied: unshallow it"
        )
    known = await source.resolve(check_sha(commit))
    empty = await target.mainline_head()
    pack = target.git_dir / "objects" / "pack" / "pack"
    pack.parent.mkdir(parents=True, exist_ok=True)
    await source.git(
        "pack-objects", "--revs", "-q", str(pack), input=f"{known}\n".encode(), timeout=_TIMEOUT_SECONDS
    )
    if await target.resolve(known) != known:
        raise UnknownObject(f"{known} did not arrive in {target.git_dir}")
    await swap_ref(target, target.mainline_ref, known, empty, "ironclaw: begin at a copied commit")
