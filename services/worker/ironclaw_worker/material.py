"""What an order gives a unit to read: its text, and the files that it references inside the worktree."""

from pathlib import Path

from msgspec import Struct

from ironclaw_contracts.artifacts import TASK_FILE, Order
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.material import material_paths

FILE_BYTES_MAX = 512 * 1024
TASK_BYTES_MAX = 128 * 1024
TOTAL_BYTES_MAX = 4 * 1024 * 1024


class Document(Struct, frozen=True):
    """One piece of material; `path` is empty for text that came with the order."""

    path: str
    text: str


class BadMaterial(Exception):
    """The order references what cannot be read; the message names the file."""


def read_material(worktree: Path, order: Order) -> list[Document]:
    """Read the order's material, bounded in size, never outside the worktree.

    Raises `BadMaterial` naming a file that is missing, too large, or outside after resolving links.
    """
    documents: list[Document] = []
    text = order.inputs.get("text")
    if isinstance(text, str) and text.strip():
        documents.append(Document(path="", text=text))
    root = worktree.resolve()
    budget = TOTAL_BYTES_MAX
    try:
        named = material_paths(order)
    except BadRequest as error:
        raise BadMaterial(error.message) from error
    for name in named:
        path = allowed_path(root, name, order.constraints.tool_policy.fs_allowlist)
        if not path.is_file():
            raise BadMaterial(f"{name}: no such file in the worktree")
        size = path.stat().st_size
        if size > FILE_BYTES_MAX or size > budget:
            raise BadMaterial(f"{name}: {size} bytes are more than a unit reads")
        budget -= size
        documents.append(Document(path=name, text=path.read_text(encoding="utf-8", errors="replace")))
    return documents


def read_task(worktree: Path) -> str:
    """Return the text of task.md, cut at a bound; empty when it is missing or no plain file."""
    path = worktree / TASK_FILE
    if path.is_symlink() or not path.is_file():
        return ""
    with path.open("rb") as file:
        return file.read(TASK_BYTES_MAX).decode("utf-8", errors="replace")


def allowed_path(root: Path, name: str, allowlist: list[str]) -> Path:
    """Return the path of a file that the policy allows, after resolving links.

    Raises `BadMaterial` when it leads outside the worktree, into `.git`, or outside the allow-list.
    """
    if "\x00" in name:
        raise BadMaterial("a path holds a NUL character")
    path = (root / name).resolve()
    if not path.is_relative_to(root) or ".git" in {part.lower() for part in path.relative_to(root).parts}:
        raise BadMaterial(f"{name}: leads outside the worktree")
    roots = [(root / entry.rstrip("*")).resolve() for entry in allowlist]
    if not any(path.is_relative_to(allowed) for allowed in roots):
        raise BadMaterial(f"{name}: not under fs_allowlist {allowlist}")
    return path
