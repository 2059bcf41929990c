"""What git is told on every call, so that no configuration but ours decides what it runs.

Pure. The settings travel as GIT_CONFIG_COUNT pairs, which outrank every file, reach git's children, allow
any byte in a key (a `-c` splits at the first `=`), and keep the argument list readable.
"""

import os
import shutil
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from ironclaw_git.errors import GitError

Settings = tuple[tuple[str, str], ...]

# Each either runs a program, reads a file elsewhere, or changes what a merge or a status means.
FIXED_SETTINGS: Settings = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.sshCommand", "false"),
    ("core.askPass", "false"),
    ("core.editor", "false"),
    ("core.pager", "cat"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.alternateRefsCommand", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.safecrlf", "false"),
    # DESIGN, "Done means committed": an acknowledged commit survives a power cut.
    ("core.fsync", "committed"),
    # A ref held by a concurrent promotion is waited for, not failed on.
    ("core.filesRefLockTimeout", "2000"),
    ("core.packedRefsTimeout", "2000"),
    ("credential.helper", ""),
    ("commit.gpgSign", "false"),
    ("log.showSignature", "false"),
    ("log.mailmap", "false"),
    ("gpg.program", "false"),
    ("merge.renormalize", "false"),
    ("protocol.allow", "never"),
    ("submodule.recurse", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
)

FIXED_VARIABLES: Mapping[str, str] = {
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    # Replacement and graft refs would show another history than the one that is merged.
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_NO_LAZY_FETCH": "1",
    # Outranks every protocol.<name>.allow of the repository: no transport, no remote helper.
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_SSH_COMMAND": "false",
    "GIT_ASKPASS": "false",
    "SSH_ASKPASS": "false",
    "GIT_EDITOR": "false",
    "GIT_SEQUENCE_EDITOR": "false",
    "GIT_PAGER": "cat",
}


def settings_variables(settings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the environment variables that give git these settings."""
    pairs = list(settings)
    variables = {"GIT_CONFIG_COUNT": str(len(pairs))}
    for number, (key, value) in enumerate(pairs):
        variables[f"GIT_CONFIG_KEY_{number}"] = key
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


@cache
def search_path() -> str:
    """Return this process's PATH without relative entries, which would name a hostile checkout's files."""
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if Path(entry).is_absolute())


@cache
def git_executable() -> str:
    """Return git's absolute path; raise `GitError` when it is not installed."""
    found = shutil.which("git", path=search_path())
    if found is None:
        raise GitError("git is not installed or not on PATH; on Debian: apt-get install git")
    return found


@cache
def _fixed() -> dict[str, str]:
    return {"PATH": search_path(), **FIXED_VARIABLES, **settings_variables(FIXED_SETTINGS)}


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment of one git process; nothing is inherited but PATH."""
    return {**_fixed(), **(extra or {})}
