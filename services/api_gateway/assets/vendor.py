"""Copy the console's assets out of npm packages whose hashes are pinned in assets.toml.

    make assets            pack each package with npm, check it, copy its files, write assets.lock
    python vendor.py --check   compare the files in the repository with assets.lock; no network

A person who installs or runs IronClaw needs none of this: the files are in the repository.
"""

import base64
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
LOCK = HERE / "assets.lock"


def packages() -> list[dict[str, Any]]:
    """Return the entries of assets.toml."""
    return tomllib.loads((HERE / "assets.toml").read_text(encoding="utf-8"))["package"]


def targets() -> list[Path]:
    """Return the copied files, sorted by path."""
    return sorted(ROOT / entry["into"] / name for entry in packages() for name in entry["files"].values())


def locked() -> str:
    """Return what assets.lock should say: SHA-256 and path of each copied file."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT)}" for path in targets()
    ]
    return "\n".join(lines) + "\n"


def fetch(entry: dict[str, Any], folder: Path) -> Path:
    """Pack one package with npm and return the archive. Ends the program when its hash is another."""
    wanted = f"{entry['name']}@{entry['version']}"
    packed = subprocess.run(
        ["npm", "pack", "--silent", "--pack-destination", str(folder), wanted],  # noqa: S607 - npm is on PATH
        check=True,
        capture_output=True,
        text=True,
    )
    archive = folder / packed.stdout.strip().splitlines()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != entry["integrity"]:
        sys.exit(f"{wanted} has the hash sha512-{digest}, assets.toml pins {entry['integrity']}")
    return archive


def copy(entry: dict[str, Any], archive: Path) -> None:
    """Copy the package's files into the repository."""
    folder = ROOT / entry["into"]
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for source, target in entry["files"].items():
            member = tar.extractfile(f"package/{source}")
            if member is None:
                sys.exit(f"{entry['name']} has no file {source}")
            (folder / target).write_bytes(member.read())


def main() -> None:
    """Fetch, or with --check compare."""
    if sys.argv[1:] == ["--check"]:
        if locked() != LOCK.read_text(encoding="utf-8"):
            sys.exit("the vendored files differ from assets.lock; run: make assets")
        return
    with tempfile.TemporaryDirectory() as folder:
        for entry in packages():
            copy(entry, fetch(entry, Path(folder)))
    LOCK.write_text(locked(), encoding="utf-8")


if __name__ == "__main__":
    main()
