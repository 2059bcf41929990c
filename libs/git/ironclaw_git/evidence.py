"""What proves that a commit holds a file: the commit and the trees down to it, as git stores them."""

from collections.abc import Iterable

from ironclaw_git.errors import UnknownObject
from ironclaw_git.names import check_sha
from ironclaw_git.objects import StoredObject, parse_batch, parse_tree
from ironclaw_git.paths import check_relative_path
from ironclaw_git.repository import Repository

_TREE_MODE = b"40000"


async def evidence(
    repo: Repository, commit: str, paths: Iterable[str], files: Iterable[str]
) -> list[StoredObject]:
    """Return a commit, the trees that lead to `paths` and `files`, and the blobs of `files`.

    What the commit does not have is left out. Raises `UnknownObject` when there is no such commit,
    `OutputTooLarge` for objects beyond a bound.
    """
    wanted = {tuple(str(check_relative_path(path)).encode().split(b"/")): False for path in paths}
    wanted |= {tuple(str(check_relative_path(path)).encode().split(b"/")): True for path in files}
    [found] = await _read(repo, [check_sha(commit)])
    if found.kind != "commit":
        raise UnknownObject(f"{commit} is a {found.kind}, not a commit")
    kept = {found.sha: found}
    root = found.data.split(b"\n", 1)[0].removeprefix(b"tree ").decode()
    level = {root: [(steps, blob) for steps, blob in wanted.items()]}
    while level:
        below: dict[str, list[tuple[tuple[bytes, ...], bool]]] = {}
        for found in await _read(repo, list(level)):
            kept[found.sha] = found
            if found.kind != "tree":
                continue
            entries = {entry.name: entry for entry in parse_tree(found.data)}
            for steps, blob in level[found.sha]:
                entry = entries.get(steps[0])
                if entry is None:
                    continue
                if len(steps) > 1 and entry.mode == _TREE_MODE:
                    below.setdefault(entry.oid.hex(), []).append((steps[1:], blob))
                elif len(steps) == 1 and blob and entry.mode != _TREE_MODE:
                    below.setdefault(entry.oid.hex(), [])
        level = below
    return list(kept.values())


async def _read(repo: Repository, names: list[str]) -> list[StoredObject]:
    asked = "".join(f"{name}\n" for name in names).encode()
    answer = await repo.git("cat-file", "--batch", input=asked)
    return list(parse_batch(answer.stdout, names))
