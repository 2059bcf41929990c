"""What a fleet needs of this machine: git, ports, disk, keys, a model that answers; each with its mend."""

import asyncio
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from ironclaw_chassis.model.settings import DEFAULT_BASE_URL
from ironclaw_contracts.enums import SERVICE_PORTS
from ironclaw_fleet.ports import is_free
from ironclaw_fleet.statedir import StateDirectory
from ironclaw_sandbox import Ability

GIT_MIN = (2, 38)
"""`git merge-tree --write-tree`, by which work is merged without a checkout, came with 2.38."""

DISK_BYTES_MIN = 2 * 1024**3
_GIB = 1024**3
_MODEL_SECONDS = 10.0
_REFUSED = frozenset({401, 403})


async def check_machine(environ: Mapping[str, str], state: StateDirectory, port_base: int) -> list[Ability]:
    """Try everything; `environ` is what the fleet would be started with."""
    return [
        await check_git(),
        check_ports(state, port_base),
        check_disk(state.path),
        check_keys(state),
        await check_model(environ),
    ]


async def check_git() -> Ability:
    """Tell whether there is a git that merges without a checkout."""
    mend = f"install git {GIT_MIN[0]}.{GIT_MIN[1]} or newer; on Debian: apt-get install git"
    try:
        process = await asyncio.create_subprocess_exec("git", "--version", stdout=asyncio.subprocess.PIPE)
        said = (await process.communicate())[0].decode(errors="replace").strip()
    except OSError as error:
        return Ability(name="git", works=False, detail=error.strerror or str(error), mend=mend)
    works = git_version(said) >= GIT_MIN
    return Ability(name="git", works=works, detail=said, mend="" if works else mend)


def git_version(said: str) -> tuple[int, ...]:
    """Return the numbers of what `git --version` said, none when it has none."""
    word = next((word for word in said.split() if word[:1].isdigit()), "")
    return tuple(int(part) for part in word.split(".") if part.isdigit())


def check_ports(state: StateDirectory, port_base: int) -> Ability:
    """Tell whether the services can listen, unless this state directory's own fleet does."""
    name = "ports"
    if (fleet := state.read_fleet()) is not None:
        return Ability(name=name, works=True, detail=f"this fleet's own, {fleet.gateway_url}")
    first = min(SERVICE_PORTS.values())
    wanted = [port_base + port - first for port in SERVICE_PORTS.values()]
    taken = [str(port) for port in sorted(wanted) if not is_free(port)]
    span = f"{min(wanted)} to {max(wanted)}"
    if not taken:
        return Ability(name=name, works=True, detail=f"{span} are free")
    mend = f"stop what listens there, or take others: ironclaw up --port-base {port_base + 1_000}"
    return Ability(name=name, works=False, detail=f"of {span} taken: {', '.join(taken)}", mend=mend)


def check_disk(path: Path) -> Ability:
    """Tell whether the state directory has room."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        mend = "set IRONCLAW_HOME to a folder of yours"
        return Ability(name="disk", works=False, detail=f"{there}: {error.strerror}", mend=mend)
    works = free >= DISK_BYTES_MIN
    mend = "" if works else f"free {DISK_BYTES_MIN / _GIB:.0f} GiB, or set IRONCLAW_HOME to another disk"
    return Ability(name="disk", works=works, detail=f"{free / _GIB:.1f} GiB free for {path}", mend=mend)


def check_keys(state: StateDirectory) -> Ability:
    """Tell whether the keys are there and nobody else can read them."""
    if not state.keys.is_dir():
        return Ability(name="keys", works=True, detail="none yet; the first ironclaw up makes them")
    try:
        # Other users are kept out by the folder's mode or by each file's own; public halves are public.
        closed = not stat.S_IMODE(state.keys.stat().st_mode) & 0o077
        found = [path for path in state.keys.iterdir() if path.is_file() and path.suffix != ".pub"]
        open_ones = [path.name for path in found if not closed and path.stat().st_mode & 0o077]
        if state.operator_key in found:
            state.operator_key.read_bytes()
    except OSError as error:
        mend = "run it as the user who runs the fleet, or set IRONCLAW_API_KEY to a key of yours"
        return Ability(name="keys", works=False, detail=f"{error.filename}: {error.strerror}", mend=mend)
    if open_ones:
        detail = f"others can read {', '.join(sorted(open_ones))}"
        return Ability(
            name="keys", works=False, detail=detail, mend=f"chmod -R go-rwx {state.keys}; then make new ones"
        )
    return Ability(name="keys", works=True, detail=f"{len(found)} in {state.keys}, yours alone")


async def check_model(environ: Mapping[str, str]) -> Ability:
    """Tell whether the model's provider answers and takes the key; without a key none is asked."""
    key = environ.get("IOINTELLIGENCE_API_KEY", "")
    url = environ.get("IRONCLAW_MODEL_BASE_URL", DEFAULT_BASE_URL).rstrip("/")
    name = "model"
    if not key:
        detail = "no key: the offline provider makes extracts and outlines"
        mend = "for a model: export IOINTELLIGENCE_API_KEY=..., or IRONCLAW_MODEL_BASE_URL with it"
        return Ability(name=name, works=True, detail=detail, mend=mend)
    timeout = aiohttp.ClientTimeout(total=_MODEL_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(
                f"{url}/models", headers={"Authorization": f"Bearer {key}"}, allow_redirects=False
            ) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        mend = "is IRONCLAW_MODEL_BASE_URL right, and may this machine reach it?"
        return Ability(name=name, works=False, detail=f"{url}: {type(error).__name__}", mend=mend)
    if status in _REFUSED:
        mend = "set IOINTELLIGENCE_API_KEY to a key that it knows"
        return Ability(name=name, works=False, detail=f"{url} refuses the key ({status})", mend=mend)
    if status >= 500:
        mend = "wait, or set IRONCLAW_MODEL_BASE_URL to another provider"
        return Ability(name=name, works=False, detail=f"{url} is in trouble ({status})", mend=mend)
    return Ability(name=name, works=True, detail=f"{url} answers")
