"""Settings of the worker."""

import os
import socket
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from ironclaw_chassis.model import (
    DEFAULT_BASE_URL,
    DEFAULT_CONCURRENCY,
    DEFAULT_MODEL,
    DEFAULT_OUTPUT_TOKENS,
    Concurrency,
    OutputTokens,
)
from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import ServiceSettings


class Settings(ServiceSettings, frozen=True, kw_only=True):
    """What the worker reads from the environment; the table is in docs/settings.md.

    `tools` are folders, separated by commas, whose programs commands may find;
    `model_commands` are names of programs that get the model's address and key.

    `worktrees` says where units work: in the vault's own, which this machine then shares, or in ones that
    they fetch from the vault over HTTP and push back.
    """

    redis_url: Secret = Secret("redis://127.0.0.1:6379")
    units_max: int = 4
    worktrees: Literal["shared", "fetched"] = "shared"
    poll_seconds: Annotated[float, Meta(gt=0)] = 1.0
    lease_seconds: Annotated[int, Meta(ge=1)] = 8
    silence_seconds: Annotated[float, Meta(gt=1)] = 30.0
    sandbox: str = "auto"
    tools: str = ""
    model_commands: str = ""
    model_base_url: str = DEFAULT_BASE_URL
    model_name: str = DEFAULT_MODEL
    model_api_key: Secret = Secret("")
    model_prices_file: str = ""
    model_output_tokens_max: OutputTokens = DEFAULT_OUTPUT_TOKENS
    model_concurrency: Concurrency = DEFAULT_CONCURRENCY
    model_cassette: str = ""

    @property
    def tool_folders(self) -> list[Path]:
        """The folders of `tools`, as they are named: programs find their parts beside them."""
        return [Path(part.strip()) for part in self.tools.split(",") if part.strip()]

    @property
    def worktrees_path(self) -> Path:
        """Where fetched worktrees lie while their units work: a folder of this process's own."""
        return (Path(self.home) / "worktrees" / f"{socket.gethostname()}.{os.getpid()}").absolute()
