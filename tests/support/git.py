"""git as a user runs it, for looking at what the fleet did."""

import subprocess
from pathlib import Path


def git(folder: Path | str, *arguments: str) -> str:
    """Run git in a folder and return what it printed."""
    identity = ("-c", "user.name=User", "-c", "user.email=user@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def make_repository(folder: Path, files: dict[str, str]) -> Path:
    """Make a user's own repository with one commit on main."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Begin")
    return folder
