"""Settings of openclawdbot."""

from typing import Annotated

from msgspec import Meta

from ironclaw_chassis.model import DEFAULT_MODEL
from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import DatabaseSettings


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What openclawdbot reads from the environment; the table is in docs/settings.md.

    `segments_file` replaces the catalogue of demand segments; `nodes_file` lists the garrison's own nodes.
    """

    signing_secret: Secret = Secret("")
    signing_secret_file: str = ""
    replay_window_seconds: Annotated[int, Meta(ge=0)] = 300
    segments_file: str = ""
    ingest_per_second: Annotated[float, Meta(gt=0)] = 1_000.0
    ingest_burst: Annotated[int, Meta(ge=1)] = 5_000
    streams_max: Annotated[int, Meta(ge=1)] = 200
    nodes_file: str = ""
    model_name: str = DEFAULT_MODEL
