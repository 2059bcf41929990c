"""Where things lie under the vault's root. Pure; ids are checked before they become names."""

from pathlib import Path

from msgspec import Struct

from ironclaw_contracts.ids import check_id
from ironclaw_git import order_branch

RECORD_FILE = "theater.json"


class TheaterPlaces(Struct, frozen=True):
    """The folders of one theater."""

    folder: Path

    @property
    def record(self) -> Path:
        """What the vault knows of the theater, as JSON."""
        return self.folder / RECORD_FILE

    @property
    def repository(self) -> Path:
        """The bare repository of a theater that the vault made."""
        return self.folder / "repo"

    @property
    def archive(self) -> Path:
        """Bundles and tars of work that was not merged."""
        return self.folder / "archive"

    @property
    def worktrees(self) -> Path:
        """One folder an attempt."""
        return self.folder / "worktrees"

    def worktree(self, order_id: str, attempt: int) -> Path:
        """Return the worktree of an attempt; it is named as its branch."""
        return self.worktrees / order_branch(order_id, attempt)


def places_of(root: Path, theater_id: str) -> TheaterPlaces:
    """Return a theater's folders. Raises `BadId`."""
    return TheaterPlaces(folder=root / "theaters" / check_id(theater_id, "theater_id"))


def is_allowed(path: Path, allowed_roots: list[Path]) -> bool:
    """Tell whether a resolved path lies under an allow-listed folder."""
    return any(path.is_relative_to(root) for root in allowed_roots)
