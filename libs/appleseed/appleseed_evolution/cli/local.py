"""Verbs about the place itself: make one, list its skills, serve it."""

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from appleseed_evolution.cli.arguments import PLACE, Flag, Place
from appleseed_evolution.cli.output import show_text
from appleseed_evolution.config import DEFAULT_PATH, make_config


def init(path: Path | None = None, /, *, config: Path = DEFAULT_PATH, overwrite: Flag = False) -> None:
    """Write the standard configuration.

    Parameters
    ----------
    path:
        The file to write; --config when it is not given.
    config:
        The configuration file.
    overwrite:
        Replace a file that is there.
    """
    target = path or config
    make_config(target, overwrite=overwrite)
    show_text(f"wrote {target}\n")


def skills(action: Literal["list"], /, *, place: Place = PLACE) -> None:
    """List the skills: id, name and tags, separated by tabs.

    Parameters
    ----------
    action:
        What to do with them.
    """
    with place.workspace() as workspace:
        for file in workspace.skills():
            skill = file.skill
            cells = (skill.id, skill.name, ",".join(skill.tags))
            show_text("\t".join(" ".join(cell.split()) for cell in cells) + "\n")


def serve(
    *,
    host: str | None = None,
    port: Annotated[int | None, Parameter(validator=Number(gte=0, lte=65_535))] = None,
    place: Place = PLACE,
) -> None:
    """Serve the HTTP surface until SIGTERM. With APPLESEED_API_KEY set, callers must send that key.

    Parameters
    ----------
    host:
        The address to listen on; that of the configuration when it is not given.
    port:
        The port; that of the configuration when it is not given.
    """
    from appleseed_evolution.http.serving import serve as run
    from ironclaw_chassis.secret import Secret

    key = os.environ.get("APPLESEED_API_KEY", "").strip()
    with place.workspace() as workspace:
        run(
            workspace,
            host=host or workspace.runtime.host,
            port=workspace.runtime.port if port is None else port,
            api_key=Secret(key) if key else None,
        )
