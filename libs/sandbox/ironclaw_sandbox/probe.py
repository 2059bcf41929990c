"""Tries, on this machine, what each tier of the sandbox needs and whether it contains a trial program."""

import asyncio
import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from ironclaw_sandbox import trial
from ironclaw_sandbox.bubblewrap import VERSION_NEEDED, parse_version
from ironclaw_sandbox.errors import SandboxError
from ironclaw_sandbox.places import interpreter
from ironclaw_sandbox.policy import Command, Limits, Policy
from ironclaw_sandbox.run import Sandbox, launcher_command
from ironclaw_sandbox.tier import Ability, Report, Setting, Tier, choose, parse_setting

_PROGRAM_PATH = "/usr/local/bin:/usr/bin:/bin"
_TRIAL_SECONDS = 20.0
_RESTRICTED = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_NAMESPACES_MEND = (
    "in a container allow namespaces (Docker: --security-opt seccomp=unconfined --security-opt "
    "apparmor=unconfined --security-opt systempaths=unconfined; Kubernetes: procMount Unmasked and "
    "hostUsers false); on a host: sysctl user.max_user_namespaces=15000"
)
_APPARMOR_MEND = "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile for it"
_MENDS = {
    "bubblewrap": "install bubblewrap 0.8 or newer; on Debian: apt-get install bubblewrap",
    "system call filter": "a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64",
    "landlock": "a kernel from 5.19 on with landlock in the lsm= list, or install bubblewrap",
    "disk accounting": "a kernel with CONFIG_TASK_IO_ACCOUNTING; until then only free space is watched",
}


async def open_sandbox(environment_value: str | None) -> tuple[Sandbox, Report]:
    """Return the sandbox for this machine, chosen by the value of `IRONCLAW_SANDBOX`, and what was found.

    Probes once, in well under a second. Raises `BadSetting`, and `SandboxRefused` naming the mend.
    """
    setting = parse_setting(environment_value)
    report = Report(abilities=(), tiers=()) if setting is Setting.OFF else await probe()
    return Sandbox(tier=choose(setting, report), bwrap=report.bwrap), report


async def probe() -> Report:
    """Try each ability and each tier on this machine."""
    path, bubblewrap = await asyncio.to_thread(_bubblewrap)
    abilities = [bubblewrap, *await _kernel()]
    works = {ability.name: ability.works for ability in abilities}
    tiers: list[Tier] = []
    for tier in (Tier.BUBBLEWRAP, Tier.LANDLOCK):
        needed = works["system call filter"] and works[tier.value]
        if not needed:
            continue
        ability = await _contains(Sandbox(tier=tier, bwrap=path))
        abilities.append(ability)
        if ability.works:
            tiers.append(tier)
    return Report(abilities=tuple(abilities), tiers=tuple(tiers), bwrap=path)


def _bubblewrap() -> tuple[str, Ability]:
    path = shutil.which("bwrap", path=_PROGRAM_PATH) or ""
    mend = _MENDS["bubblewrap"]
    if not path:
        return "", Ability(name="bubblewrap", works=False, detail="bwrap is not installed", mend=mend)
    try:
        said = subprocess.run([path, "--version"], capture_output=True, timeout=5, check=False, env={}).stdout
    except (OSError, subprocess.TimeoutExpired) as problem:
        return path, Ability(name="bubblewrap", works=False, detail=str(problem), mend=mend)
    text = said.decode("utf-8", "replace").strip()
    version = parse_version(text)
    if version is None or version < VERSION_NEEDED:
        return path, Ability(name="bubblewrap", works=False, detail=f"{path} is {text or 'mute'}", mend=mend)
    return path, Ability(name="bubblewrap", works=True, detail=f"{text} at {path}")


async def _kernel() -> list[Ability]:
    """Return the kernel's abilities, as the launcher's trials find them in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        *launcher_command("ironclaw_launcher.trials"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_TRIAL_SECONDS):
            stdout, stderr = await process.communicate()
    except TimeoutError as problem:
        raise SandboxError(f"the trials of this kernel did not end within {_TRIAL_SECONDS:g} s") from problem
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise SandboxError(f"the trials of this kernel failed: {stderr.decode('utf-8', 'replace')[-500:]}")
    found: dict[str, str] = json.loads(stdout)
    restricted = await asyncio.to_thread(_apparmor_restricts)
    return [_ability(name, problem, restricted=restricted) for name, problem in found.items()]


def _apparmor_restricts() -> bool:
    return _RESTRICTED.exists() and _RESTRICTED.read_text(encoding="ascii").strip() == "1"


def _ability(name: str, problem: str, *, restricted: bool) -> Ability:
    if not problem:
        return Ability(name=name, works=True, detail="tried, works")
    mend = _MENDS.get(name, _APPARMOR_MEND if restricted else _NAMESPACES_MEND)
    return Ability(name=name, works=False, detail=problem, mend=mend)


async def _contains(sandbox: Sandbox) -> Ability:
    """Run the trial program in a tier; it must be able to work and unable to reach out."""
    name = f"{sandbox.tier} contains"
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="ironclaw-probe-"))
    try:
        problems = await _trial(sandbox, folder)
    except (OSError, SandboxError) as problem:
        problems = [str(problem)]
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    if not problems:
        return Ability(name=name, works=True, detail="a trial program reached nothing outside its worktree")
    restricted = await asyncio.to_thread(_apparmor_restricts)
    mend = _APPARMOR_MEND if restricted else _NAMESPACES_MEND
    return Ability(name=name, works=False, detail="; ".join(problems), mend=mend)


async def _trial(sandbox: Sandbox, folder: Path) -> list[str]:
    worktree, secret = folder / "worktree", folder / "secret"
    worktree.mkdir()
    secret.write_text("a secret of the host", encoding="ascii")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        policy = Policy(worktree=worktree, limits=Limits(wall_seconds=_TRIAL_SECONDS, free_bytes=0))
        program = (interpreter()[0], "-I", "-S", "-c", trial.PROGRAM, port, str(secret), str(folder))
        outcome = await sandbox.run(Command(argv=program), policy)
    if not outcome.ok:
        said = outcome.stderr.decode("utf-8", "replace").strip()[-300:]
        return [f"{outcome.reason}{': ' + said if said else ''}"]
    if (folder / "escaped").exists():
        return ["let it write outside"]
    return trial.failures(outcome.stdout)
