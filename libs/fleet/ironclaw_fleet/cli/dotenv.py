"""A `.env` file: settings of a folder, for whoever starts a fleet in it."""

from collections.abc import Mapping
from pathlib import Path


def with_dotenv(environ: Mapping[str, str], path: Path) -> dict[str, str]:
    """Return the environment with what a `.env` file adds; what is set already wins."""
    found: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            name, equals, value = line.strip().removeprefix("export ").partition("=")
            if equals and not name.startswith("#"):
                found[name.strip()] = value.strip().strip("\"'")
    return {**found, **environ}
