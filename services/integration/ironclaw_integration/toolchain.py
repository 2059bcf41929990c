"""The tools that gates run with: folders that the operator names, and what their state is called.

Reads the file system; blocking, so off the event loop.
"""

import hashlib
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib")


class Toolchain(Struct, frozen=True):
    """Folders shown to commands read-only; their `bin` come first in the PATH, in this order."""

    folders: tuple[Path, ...] = ()

    @property
    def search_path(self) -> tuple[str, ...]:
        """The folders with programs."""
        return tuple(str(folder / "bin") for folder in self.folders if (folder / "bin").is_dir())

    @property
    def readable(self) -> tuple[Path, ...]:
        """The folders, and the interpreters that virtual environments among them stand on."""
        found = [folder for folder in self.folders if folder.is_dir()]
        found += [base for folder in found if (base := _base_of(folder)) is not None]
        return tuple(dict.fromkeys(found))


def _base_of(folder: Path) -> Path | None:
    """Return the installation under a virtual environment (PEP 405), unless the sandbox shows it anyway."""
    for line in _lines(folder / "pyvenv.cfg"):
        key, _, value = line.partition("=")
        if key.strip() == "home" and value.strip():
            base = Path(value.strip()).resolve().parent
            return None if str(base).startswith(_SYSTEM) or not base.is_dir() else base
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def fingerprint(toolchain: Toolchain, program: str, tier: str) -> str:
    """Return a hash that changes when the tools do: what is installed, the program itself, the sandbox.

    A package that is replaced in place under the same version, as by an editable install, is not seen.
    """
    parts = [tier, platform.machine(), *_program(toolchain, program)]
    for folder in toolchain.folders:
        parts += [str(folder), *_lines(folder / "pyvenv.cfg"), *_names(folder)]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _program(toolchain: Toolchain, program: str) -> Iterator[str]:
    path = os.pathsep.join((*toolchain.search_path, _SYSTEM_PATH))
    found = shutil.which(program, path=path)
    if found is None:
        yield f"no {program}"
        return
    yield f"{Path(found).resolve()} {_stamp(Path(found))}"


def _names(folder: Path) -> list[str]:
    """Return what is installed: programs as they are, and packages by the names of their metadata.

    A gate's program may start others of these (`make`, `sh`), so each one counts.
    """
    packages = folder.glob("lib/python*/site-packages/*-info")
    return sorted([*(path.name for path in packages), *(_stamp(path) for path in folder.glob("bin/*"))])


def _stamp(path: Path) -> str:
    try:
        about = path.stat()
    except OSError:  # a link to nowhere
        return path.name
    return f"{path.name} {about.st_size} {about.st_mtime_ns}"
