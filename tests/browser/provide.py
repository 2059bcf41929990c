"""See that the browser tests have a browser: find one, else install Debian's, else let Playwright fetch its own.

Prints what it found or why there is none, and ends with status 0 either way: without a browser the tests skip.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def find_browser() -> str | None:
    """Return the path of a Chromium of the system, or of the one that Playwright keeps."""
    for name in NAMES:
        if found := shutil.which(name):
            return found
    kept = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    return next((str(path) for path in sorted(kept.glob("chromium-*/chrome-linux*/chrome"))), None)


def _tried(*command: str) -> str:
    """Run a command and return why it failed; empty when it did not."""
    if shutil.which(command[0]) is None:
        return f"there is no {command[0]}"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL)
    except (subprocess.TimeoutExpired, OSError) as error:
        return f"{command[0]}: {error}"
    lines = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
    return "" if done.returncode == 0 else f"{' '.join(command[:2])}: {lines[-1]}"


def provide() -> str:
    """Return a line that says which browser there is, or why there is none."""
    reasons: list[str] = []
    if find_browser() is None and os.geteuid() == 0:
        _tried("apt-get", "update", "-q")
        reasons.append(_tried("apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"))
    if find_browser() is None:
        reasons.append(_tried(sys.executable, "-m", "playwright", "install", "chromium"))
    found = find_browser()
    if found is not None:
        return f"browser tests use {found}"
    return f"no browser can be had here ({'; '.join(reasons)}): the browser tests will be skipped"


if __name__ == "__main__":
    sys.stdout.write(provide() + "\n")
