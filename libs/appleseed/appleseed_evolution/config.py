"""The configuration: a TOML file with `[paths]` and `[runtime]`; relative paths are relative to the file."""

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from appleseed_evolution.state.files import write_atomically
from ironclaw_contracts.errors import BadRequest, Conflict, NotFound

CONFIG_NAME = "appleseed.toml"
DEFAULT_PATH = Path("demo") / CONFIG_NAME
_STANDARD = """\
# Where the files of this Appleseed lie, relative to this one, and how it judges.

[paths]
skills_dir = "skills"
state_dir = "state"

[runtime]
top_k_skills = 3
min_evidence = 2
approval_threshold = 0.65
host = "127.0.0.1"
port = 8765
"""


class Runtime(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `[runtime]` sets. `approval_threshold` is a confidence from 0 to 1."""

    top_k_skills: int = 3
    min_evidence: int = 2
    approval_threshold: float = 0.65
    host: str = "127.0.0.1"
    port: int = 8765


class _Paths(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    skills_dir: str = "skills"
    state_dir: str = "state"


class _File(Struct, frozen=True, kw_only=True):
    paths: _Paths = _Paths()
    runtime: Runtime = Runtime()


class Config(Struct, frozen=True, kw_only=True):
    """A configuration. Its paths are absolute: reports and states name them to whoever comes later."""

    path: Path
    skills_dir: Path
    state_dir: Path
    runtime: Runtime = Runtime()


def read_config(path: Path) -> Config:
    """Read a configuration. Raises `NotFound` or `BadRequest` naming the file and the setting."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
        file = msgspec.convert(values, _File)
    except FileNotFoundError as error:
        raise NotFound(f"{path} is not there; make it with: appleseed init {path}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadRequest(f"{path}: {error}") from error
    _check(file.runtime, path)
    folder = path.absolute().parent
    return Config(
        path=path.absolute(),
        skills_dir=folder / file.paths.skills_dir,
        state_dir=folder / file.paths.state_dir,
        runtime=file.runtime,
    )


def make_config(path: Path, *, overwrite: bool = False) -> None:
    """Write the standard configuration, and a folder for skills beside it.

    Raises `Conflict` when there is one already, and `OSError`.
    """
    if path.exists() and not overwrite:
        raise Conflict(f"{path} is there already; replace it with: appleseed init {path} --overwrite")
    write_atomically(path, _STANDARD.encode())
    (path.parent / _Paths().skills_dir).mkdir(exist_ok=True)


def ensure_config(path: Path) -> Path:
    """Return the path of a configuration, which is made when there is none. Raises `OSError`."""
    if not path.exists():
        make_config(path)
    return path


def _check(runtime: Runtime, path: Path) -> None:
    for name, is_right, bounds in (
        ("top_k_skills", runtime.top_k_skills >= 1, "at least 1"),
        ("min_evidence", runtime.min_evidence >= 1, "at least 1"),
        ("approval_threshold", 0 <= runtime.approval_threshold <= 1, "from 0 to 1"),
        ("port", 0 <= runtime.port <= 65_535, "from 0 to 65535"),
    ):
        if not is_right:
            raise BadRequest(f"{path}: runtime.{name} is {getattr(runtime, name)}; it must be {bounds}")
