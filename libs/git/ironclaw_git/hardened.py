"""git on one repository whose configuration is hostile until shown otherwise (TRUST row 15).

Fixed settings cannot reach keys with a name of the repository's choosing (`filter.<name>.clean`). So its
local configuration is read once per change of its files, and every key that would run a program is
answered with one that does not. What cannot be answered is refused.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from ironclaw_git.environment import FIXED_SETTINGS, Settings, settings_variables
from ironclaw_git.errors import UnsafeConfig
from ironclaw_git.layout import Layout
from ironclaw_git.run import OUTPUT_BYTES_MAX, TIMEOUT_SECONDS, GitResult, run_git
from ironclaw_git.sparse import sparse_settings

# A driver cannot be unset, and one that does nothing would silently keep our side: answer every custom
# driver with git's own text merge, which reports a conflict where it has one.
_TEXT_MERGE = "git merge-file -q --marker-size=%L %A %O %B"
_ANSWERS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\Afilter\..*\.(?:clean|smudge|process)\Z", re.DOTALL), ""),
    (re.compile(r"\Afilter\..*\.required\Z", re.DOTALL), "false"),
    (re.compile(r"\Amerge\..*\.driver\Z", re.DOTALL), _TEXT_MERGE),
    (re.compile(r"\Adiff\.(?:external|.*\.(?:command|textconv))\Z", re.DOTALL), "false"),
    (re.compile(r"\Agpg\..*(?:program|command)\Z", re.DOTALL), "false"),
    # git 2.54 and later take hooks from the configuration too.
    (re.compile(r"\Ahook\..*\.command\Z", re.DOTALL), "true"),
    (re.compile(r"\Ahook\..*\.enabled\Z", re.DOTALL), "false"),
)
_REFUSED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\Ainclude(?:if\..*)?\.path\Z", re.DOTALL), "copy the included settings into the file"),
    (re.compile(r"\Acore\.worktree\Z"), "unset it; a submodule is not a repository to work on"),
    (re.compile(r"\A(?:extensions\.partialclone|remote\..*\.promisor)\Z", re.DOTALL), "make a full clone"),
    (re.compile(r"\Aextensions\.(?:objectformat|refstorage)\Z"), "use SHA-1 objects and file refs"),
)
# Under these keys a file is its bytes: what they say here is git's own default, or has no say in it.
_PLAIN_VALUES = {
    "core.filemode": "true",
    "core.symlinks": "true",
    "core.ignorecase": "false",
    "core.autocrlf": "false",
    "extensions.worktreeconfig": "true",
}
_PLAIN_KEYS = {"core.bare", "core.repositoryformatversion", "core.logallrefupdates"} | {
    key.lower() for key, _ in FIXED_SETTINGS
}
# A filter needs an attribute to name it, a submodule an entry in a tree: those are looked for as such.
_PLAIN_SECTIONS = re.compile(
    r"\A(?:author|branch|color|commit|committer|credential|diff|fetch|filter|gc|gpg|http|init|log|merge|pull"
    r"|push|receive|remote|submodule|tag|transfer|uploadpack|user)\."
)
_ANSWERS_MAX = 500
_CONFIG_BYTES_MAX = 4 * 1024 * 1024
_KNOWN_MAX = 1_024

_Signature = tuple[tuple[int, int, int] | None, ...]


class _Configuration(Struct, frozen=True):
    """What is known of a repository's own configuration as long as its files look like this."""

    signature: _Signature
    settings: Settings
    plain: bool


_known: dict[Path, _Configuration] = {}


def neutralised(keys: Iterable[str]) -> Settings:
    """Return the settings that make these configuration keys harmless; raise `UnsafeConfig`.

    Keys are as `git config --list` prints them: section and name in lower case, the middle as it is.
    """
    settings: dict[str, str] = {}
    for key in keys:
        mend = next((mend for pattern, mend in _REFUSED if pattern.match(key)), None)
        if mend is not None:
            raise UnsafeConfig(f"the repository's configuration has {key[:200]!r}, which is not used: {mend}")
        answer = next((answer for pattern, answer in _ANSWERS if pattern.match(key)), None)
        if answer is not None:
            settings[key] = answer
            if key.startswith("filter."):
                settings[key.rpartition(".")[0] + ".required"] = "false"
    if len(settings) > _ANSWERS_MAX:
        raise UnsafeConfig(f"the repository's configuration has more than {_ANSWERS_MAX} filters and drivers")
    return tuple(settings.items())


def is_plain(settings: Iterable[tuple[str, str]]) -> bool:
    """Say whether these settings leave a file to be what its bytes are. Pure.

    Keys are as for `neutralised`. One that is not known to be harmless is not.
    """
    return all(
        _PLAIN_VALUES.get(key) == value or key in _PLAIN_KEYS or _PLAIN_SECTIONS.match(key)
        for key, value in settings
    )


def _signature(layout: Layout) -> _Signature:
    files = (
        layout.common_dir / "config",
        layout.common_dir / "config.worktree",
        layout.git_dir / "config.worktree",
    )
    return tuple(_stamp(path) for path in files)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    # The change time, which no program can set back, not the modification time.
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ctime_ns, found.st_ino, found.st_size


def repository_variables(layout: Layout) -> dict[str, str]:
    """Return the variables that bind git to this repository, so that nothing is discovered."""
    variables = {"GIT_DIR": str(layout.git_dir)}
    if layout.work_tree is None:
        return {**variables, "GIT_IMPLICIT_WORK_TREE": "0"}
    return {**variables, "GIT_WORK_TREE": str(layout.work_tree)}


async def _configuration(layout: Layout) -> _Configuration:
    signature = _signature(layout)
    # A linked worktree without settings of its own has those of its repository.
    key = layout.common_dir if signature[-1] is None or not layout.linked else layout.git_dir
    known = _known.get(key)
    if known is not None and known.signature == signature:
        return known
    listed = await run_git(
        layout.work_tree or layout.git_dir,
        *("config", "--list", "-z", "--show-scope", "--no-includes"),
        env_extra=repository_variables(layout),
        max_output=_CONFIG_BYTES_MAX,
    )
    fields = listed.stdout.decode("utf-8", "surrogateescape").split("\0")
    pairs = zip(fields[0::2], fields[1::2], strict=False)
    own = [
        (key, value)
        for scope, pair in pairs
        if scope != "command"
        for key, _, value in [pair.partition("\n")]
    ]
    found = _Configuration(signature, neutralised(key for key, _ in own), is_plain(own))
    if len(_known) >= _KNOWN_MAX:
        _known.pop(next(iter(_known)))
    _known[key] = found
    return found


async def hardened_settings(layout: Layout) -> Settings:
    """Return the settings that make this repository's own configuration harmless."""
    return (await _configuration(layout)).settings


async def leaves_files_alone(layout: Layout) -> bool:
    """Say whether this repository's own configuration is plain; see `is_plain`."""
    return (await _configuration(layout)).plain


async def hardened_environment(layout: Layout) -> dict[str, str]:
    """Return the variables that bind git to this repository and make its configuration harmless."""
    settings = await hardened_settings(layout) + sparse_settings(layout)
    variables = repository_variables(layout)
    return {**variables, **settings_variables(FIXED_SETTINGS + settings)} if settings else variables


async def git(
    layout: Layout,
    *args: str,
    input: bytes | None = None,
    env_extra: dict[str, str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
    check: bool = True,
    max_output: int = OUTPUT_BYTES_MAX,
    truncate: bool = False,
) -> GitResult:
    """Run git on the repository at `layout`, bound to it by GIT_DIR, so that nothing is discovered.

    Options and errors are those of `run_git`; `UnsafeConfig` besides.
    """
    return await run_git(
        layout.work_tree or layout.git_dir,
        *args,
        input=input,
        env_extra={**await hardened_environment(layout), **(env_extra or {})},
        timeout=timeout,
        check=check,
        max_output=max_output,
        truncate=truncate,
    )
