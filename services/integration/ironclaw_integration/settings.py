"""Settings of integration."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from ironclaw_chassis.settings import DatabaseSettings


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What integration reads from the environment; the table is in docs/settings.md.

    `toolchain` are absolute folders, separated by commas, that gates may read and whose `bin` they find
    programs in. `proof_seconds` is the time between two tries of each gate's planted bad commit.
    """

    sweep_seconds: float = 5.0
    sandbox: str = ""
    toolchain: str = ""
    gates_at_once: Annotated[int, Meta(ge=1, le=64)] = 2
    proof_seconds: Annotated[float, Meta(gt=0)] = 86_400.0
    verdict_retention_days: Annotated[int, Meta(ge=1)] = 30

    @property
    def tool_folders(self) -> tuple[Path, ...]:
        """The folders of the toolchain. Raises `ValueError` for one that is not absolute."""
        folders = tuple(Path(one.strip()) for one in self.toolchain.split(",") if one.strip())
        relative = next((folder for folder in folders if not folder.is_absolute()), None)
        if relative is not None:
            raise ValueError(f"IRONCLAW_INTEGRATION_TOOLCHAIN: {relative} must be an absolute folder")
        return folders
