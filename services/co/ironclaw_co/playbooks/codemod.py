"""The codemod playbook: one command over a repository, split into orders that cannot collide.

Each part is one `command` order with its own files; the gates of the theater judge each merge by itself, so
one part that breaks something holds up no other.
"""

import fnmatch
import posixpath
import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from ironclaw_co.draft_plan import CannotPlan, DraftPlan, DraftTask, Wish
from ironclaw_contracts.commands import COMMAND, Argument, refusal

CODEMOD = "codemod"
_FILES_PER_PART_MAX = 500
_BUDGET_SECONDS = 300
_PATHS = "{paths}"
_OWN_FOLDERS = ("outputs/", ".ironclaw/")
_PYTHON = (".py", ".pyi")
_STYLE = re.compile(r"\bpython\s*3\.(\d{1,2})\b", re.IGNORECASE)
_OLDEST, _NEWEST = 7, 15
"""Minor versions of Python 3 that ruff knows (docs.astral.sh/ruff/settings, target-version)."""

Pattern = Annotated[str, Meta(min_length=1, max_length=500)]


class CodemodInputs(Struct, frozen=True):
    """`command` is run on each part, its paths in place of `{paths}` or at the end.

    `pattern` narrows the files; `split` makes a part of each folder that directly holds some, of each file,
    or of each of the globs given. `accept` are the exit codes that mean success.
    """

    command: Annotated[list[Argument], Meta(min_length=1, max_length=1_000)] | None = None
    pattern: Pattern | None = None
    split: Literal["package", "file"] | Annotated[list[Pattern], Meta(min_length=1)] = "package"
    accept: Annotated[list[Annotated[int, Meta(ge=0, le=255)]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [0]
    )


def plan(wish: Wish) -> DraftPlan:
    """Return one order a part. Raises `CannotPlan` when no command, no file or no permission is found."""
    try:
        inputs = msgspec.convert(wish.inputs, CodemodInputs)
    except msgspec.ValidationError as error:
        raise CannotPlan(f"inputs of the codemod playbook: {error}") from error
    command, suffixes = (inputs.command, ()) if inputs.command else known_command(wish.objective)
    reason = refusal(command[0], wish.policy)
    if reason is not None:
        raise CannotPlan(reason)
    files = [path for path in wish.files if _is_meant(path, inputs.pattern, suffixes)]
    parts = split(files, inputs.split)
    if not parts:
        what = inputs.pattern or (f"*{suffixes[0]}" if suffixes else "any")
        raise CannotPlan(f"no file of the mainline matches {what}; name others with inputs.pattern")
    tasks = tuple(
        DraftTask(
            type=COMMAND,
            title=f"{name} ({len(paths)} file{'s' if len(paths) > 1 else ''})"[:200],
            objective=f"{wish.objective}\n\nPart: {name}",
            inputs={"argv": _argv(command, paths), "accept": inputs.accept},
            budget_seconds=_BUDGET_SECONDS,
        )
        for name, paths in parts
    )
    return DraftPlan(CODEMOD, "playbook", tasks, tuple(range(len(tasks))), "what changed in each part")


def known_command(objective: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the command that a wish in words means, and the suffixes of the files that it is for.

    Raises `CannotPlan` when the words name none; a guess would change code that nobody asked to change.
    """
    words = objective.lower()
    style = _STYLE.search(words)
    fix = ["ruff", "check", "--fix", "--exit-zero", "--no-cache", "--force-exclude", "--quiet"]
    if style is not None:
        minor = int(style[1])
        if not _OLDEST <= minor <= _NEWEST:
            raise CannotPlan(f"Python 3.{minor}: ruff knows the styles of 3.{_OLDEST} to 3.{_NEWEST}")
        return [*fix, "--select", "UP", "--target-version", f"py3{minor}", "--"], _PYTHON
    if "sort" in words and "import" in words:
        return [*fix, "--select", "I", "--"], _PYTHON
    if "unused import" in words:
        return [*fix, "--select", "F401", "--"], _PYTHON
    if re.search(r"\b(re)?format\b", words):
        return ["ruff", "format", "--no-cache", "--force-exclude", "--quiet", "--"], _PYTHON
    raise CannotPlan(
        "the words name no codemod that is known (Python 3.N style, sort imports, unused imports, format); "
        """give the command: --input 'command=["ruff", "check", "--fix", "{paths}"]'"""
    )


def split(files: list[str], by: str | list[str]) -> list[tuple[str, list[str]]]:
    """Return named parts, each file in exactly one: its first glob, its folder, or its own."""
    parts: dict[str, list[str]] = {}
    for path in sorted(files):
        if isinstance(by, list):
            name = next((glob for glob in by if matches(path, glob)), None)
            if name is None:
                continue
        else:
            name = path if by == "file" else posixpath.dirname(path) or "."
        parts.setdefault(name, []).append(path)
    return [piece for name, paths in parts.items() for piece in _pieces(name, paths)]


def _pieces(name: str, paths: list[str]) -> list[tuple[str, list[str]]]:
    """Cut a part whose files would not fit on a command line."""
    if len(paths) <= _FILES_PER_PART_MAX:
        return [(name, paths)]
    starts = range(0, len(paths), _FILES_PER_PART_MAX)
    return [
        (f"{name} [{number}]", paths[start : start + _FILES_PER_PART_MAX])
        for number, start in enumerate(starts, start=1)
    ]


def matches(path: str, pattern: str) -> bool:
    """Tell whether a pattern means a path: a folder means all below it, a glob is one over whole paths."""
    plain = pattern.removeprefix("./")
    if plain in {"", "."}:
        return True
    below = plain if plain.endswith("/") else f"{plain}/"
    return path.startswith(below) or any(fnmatch.fnmatchcase(path, glob) for glob in (plain, f"{below}*"))


def _is_meant(path: str, pattern: str | None, suffixes: tuple[str, ...]) -> bool:
    if path.startswith(_OWN_FOLDERS):
        return False
    return (pattern is None or matches(path, pattern)) and (not suffixes or path.endswith(suffixes))


def _argv(command: list[str], paths: list[str]) -> list[str]:
    """Put the paths into a command; each begins with `./`, so that none is read as an option."""
    named = [f"./{path}" for path in paths]
    if _PATHS not in command:
        return [*command, *named]
    at = command.index(_PATHS)
    return [*command[:at], *named, *command[at + 1 :]]
