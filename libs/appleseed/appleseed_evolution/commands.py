"""The commands that reports tell an operator to run, quoted for a shell."""

import shlex
from pathlib import Path

_PROGRAM = ("python3", "-m", "appleseed_evolution.cli")


def command(verb: str, config_path: Path, *arguments: str) -> str:
    """Return a command line over a configuration, ready to paste."""
    return shlex.join([*_PROGRAM, verb, "--config", str(config_path), *arguments])
