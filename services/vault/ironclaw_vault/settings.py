"""Settings of the vault."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from ironclaw_chassis.settings import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """What the vault reads from the environment; the table is in docs/settings.md.

    `allowed_roots` are folders, separated by commas, under which users' own repositories may be opened.
    """

    root: str = ""
    allowed_roots: str = ""
    janitor_seconds: Annotated[float, Meta(gt=0)] = 60.0
    push_bytes_max: Annotated[int, Meta(ge=1)] = 512 * 1024 * 1024
    worktree_retention_seconds: Annotated[int, Meta(ge=0)] = 60
    archive_retention_days: Annotated[int, Meta(ge=0)] = 30

    @property
    def root_path(self) -> Path:
        """Where the vault keeps theaters."""
        return (Path(self.root) if self.root else Path(self.home) / "vault").absolute()

    @property
    def allowed_root_paths(self) -> list[Path]:
        """The allow-listed folders, links resolved."""
        return [Path(part.strip()).resolve() for part in self.allowed_roots.split(",") if part.strip()]
