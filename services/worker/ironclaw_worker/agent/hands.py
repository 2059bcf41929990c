"""What the tools do to the worktree, each within the order's paths. Blocking; off the event loop.

A command that the agent ran may have left links anywhere: no path is followed through one.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ironclaw_contracts.artifacts import OPERATIONAL_FILES, ToolPolicy
from ironclaw_contracts.transcript import tail
from ironclaw_sandbox import PathRules, judge_paths
from ironclaw_sandbox.pathpolicy import Change
from ironclaw_worker.agent.tools import EditFile, ListFiles, ReadFile, SearchFiles, WriteFile

READ_BYTES_MAX = 2 * 1024 * 1024
_LISTED_MAX = 2_000
_FOUND_MAX = 200
_LINE_CHARS_MAX = 300
_SEARCHED_BYTES_MAX = 256 * 1024 * 1024
_SKIPPED_FOLDERS = frozenset({".git", "__pycache__", "node_modules", ".venv", ".mypy_cache", ".ruff_cache"})


class Refused(Exception):
    """The tool may not do this, or cannot; the message is told to the model."""


class Hands:
    """Acts on one worktree for one order."""

    def __init__(self, worktree: Path, tools: ToolPolicy) -> None:
        self._root = worktree.resolve()
        self._rules = PathRules(fs_allowlist=tuple(tools.fs_allowlist))

    def list(self, call: ListFiles) -> str:
        """Return the files below a folder, one a line."""
        paths = [path for path, _ in self._files(call.folder)]
        more = "\n(more were left out; list a folder below)" if len(paths) > _LISTED_MAX else ""
        return "\n".join(paths[:_LISTED_MAX]) + more or "(no files)"

    def read(self, call: ReadFile) -> str:
        """Return lines of a file, with their numbers."""
        lines = self._text(call.path).splitlines()
        first = call.first_line - 1
        chosen = lines[first : first + call.lines]
        if not chosen:
            return f"(the file has {len(lines)} lines)"
        shown = "\n".join(f"{number:6} {line}" for number, line in enumerate(chosen, start=call.first_line))
        left = len(lines) - first - len(chosen)
        return shown + (f"\n({left} more lines)" if left > 0 else "")

    def search(self, call: SearchFiles) -> str:
        """Return the lines that hold a text."""
        found: list[str] = []
        budget = _SEARCHED_BYTES_MAX
        for path, size in self._files(call.folder):
            budget -= size
            if budget < 0 or len(found) >= _FOUND_MAX:
                found.append("(more was left out; search a folder below)")
                break
            if size > READ_BYTES_MAX:
                continue
            try:
                text = self._text(path)
            except Refused:
                continue
            found += [
                f"{path}:{number}: {line.strip()[:_LINE_CHARS_MAX]}"
                for number, line in enumerate(text.splitlines(), start=1)
                if call.text in line
            ]
        return "\n".join(found[: _FOUND_MAX + 1]) or "(nothing found)"

    def write(self, call: WriteFile) -> str:
        """Write a whole file."""
        target = self._writable(call.path, len(call.content.encode("utf-8", "replace")))
        existed = target.exists()
        self._put(target, call.content)
        return f"{'wrote' if existed else 'made'} {call.path}"

    def edit(self, call: EditFile) -> str:
        """Replace the one passage that reads like `old`."""
        text = self._text(call.path)
        count = text.count(call.old)
        if count != 1:
            raise Refused(
                f"{call.path}: `old` stands there {count} times, not once; give more of its surroundings"
            )
        changed = text.replace(call.old, call.new)
        self._put(self._writable(call.path, len(changed.encode("utf-8", "replace"))), changed)
        return f"edited {call.path}"

    def _writable(self, name: str, size: int) -> Path:
        broken = judge_paths([Change(name, bytes=size)], self._rules)
        if broken:
            raise Refused(f"{name} {broken[0].reason}")
        if name in OPERATIONAL_FILES:
            raise Refused(f"{name} is written by the fleet, not by you")
        return self._plain(name)

    def _plain(self, name: str) -> Path:
        """Return a path inside the worktree none of whose parts is a link."""
        if "\x00" in name or name.startswith(("/", "~")):
            raise Refused(f"{name[:200]!r} is not relative to the repository's root")
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if ".." in parts or any(part.lower() == ".git" for part in parts):
            raise Refused(f"{name[:200]!r} leads out of the repository, or into .git")
        place = self._root
        for part in parts:
            place = place / part
            try:
                if stat.S_ISLNK(place.lstat().st_mode):
                    raise Refused(f"{name}: {place.relative_to(self._root)} is a link, which is not followed")
            except FileNotFoundError:
                pass
            except OSError as error:
                raise Refused(f"{name[:200]}: {error.strerror}") from error
        return place

    def _text(self, name: str) -> str:
        place = self._plain(name)
        try:
            found = place.lstat()
            if not stat.S_ISREG(found.st_mode):
                raise Refused(f"{name} is no file")
            if found.st_size > READ_BYTES_MAX:
                raise Refused(f"{name} has {found.st_size} bytes, more than are read")
            return place.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise Refused(f"{name} is not text") from error
        except OSError as error:
            raise Refused(f"{name}: {error.strerror}") from error

    def _put(self, target: Path, text: str) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            with os.fdopen(os.open(target, flags, 0o644), "wb") as file:
                file.write(text.encode("utf-8", "replace"))
        except OSError as error:
            raise Refused(f"{target.relative_to(self._root)}: {error.strerror}") from error

    def _files(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield the plain files below a folder with their sizes, by path."""
        top = self._plain(folder)
        if not top.is_dir():
            raise Refused(f"{folder} is no folder")
        for parent, folders, names in os.walk(top):
            folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
            for name in sorted(names):
                place = Path(parent, name)
                path = str(place.relative_to(self._root))
                mode = place.lstat()
                if stat.S_ISREG(mode.st_mode) and path not in OPERATIONAL_FILES:
                    yield path, mode.st_size


def shown(text: str) -> str:
    """Return a tool's result as it goes to the model, bounded, and always text that JSON can hold."""
    return tail(text.encode("utf-8", "replace").decode("utf-8"))
