"""Settings of integration."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from ironclaw_chassis.settings import DatabaseSettings


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What integration reads from the environment; the table is in docs/settings.md.

    `tools` are absolute folders, separated by commas, that gates may read and whose `bin` they find
    programs in. `push` names remotes: `theater=url`, separated by commas. `proof_seconds` is the time
    between two tries of each gate's planted bad commit.
    """

    sweep_seconds: float = 5.0
    sandbox: str = ""
    tools: str = ""
    gates_at_once: Annotated[int, Meta(ge=1, le=64)] = 2
    proof_seconds: Annotated[float, Meta(gt=0)] = 86_400.0
    weather_seconds: Annotated[float, Meta(gt=0)] = 15.0
    push: str = ""
    push_token_file: str = ""
    push_ssh_key_file: str = ""
    push_known_hosts_file: str = ""
    verdict_retention_days: Annotated[int, Meta(ge=1)] = 30

    @property
    def tool_folders(self) -> tuple[Path, ...]:
        """The folders of the toolchain. Raises `ValueError` for one that is not absolute."""
        folders = tuple(Path(one.strip()) for one in self.tools.split(",") if one.strip())
        relative = next((folder for folder in folders if not folder.is_absolute()), None)
        if relative is not None:
            raise ValueError(f"IRONCLAW_INTEGRATION_TOOLS: {relative} must be an absolute folder")
        return folders
