"""A host full of things worth reaching: listening sockets, secrets, a process, a repository's hooks."""

import contextlib
import dataclasses
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Sequence
from pathlib import Path

from ironclaw_sandbox import Command, Limits, Outcome, Policy, Sandbox
from ironclaw_sandbox.places import interpreter

CONFIG = "[core]\n\tbare = false\n"
SECRET = "a secret of the host"
PYTHON = (interpreter()[0], "-I", "-S", "-c")
LIMITS = Limits(wall_seconds=30, free_bytes=0)


@dataclasses.dataclass
class Host:
    base: Path
    marker: str
    facts: dict[str, object]
    sentinel: "subprocess.Popen[bytes]"
    udp: socket.socket

    @property
    def worktree(self) -> Path:
        return self.base / "worktree"

    def argv(self, program: str) -> tuple[str, ...]:
        return (*PYTHON, program, json.dumps(self.facts))

    def damage(self) -> list[str]:
        """What changed outside of the worktree's own files."""
        found: list[str] = []
        if self.base.joinpath("secret").read_text() != SECRET:
            found.append("the secret changed")
        if {path.name for path in self.base.iterdir()} != {"worktree", "outside", "secret", "unix"}:
            found.append(f"planted beside the worktree: {sorted(os.listdir(self.base))}")
        if list(self.base.joinpath("outside").iterdir()):
            found.append("planted outside")
        git = self.worktree / ".git"
        if not git.is_dir() or git.is_symlink() or git.joinpath("config").read_text() != CONFIG:
            found.append(".git changed")
        elif list(git.joinpath("hooks").iterdir()) or {one.name for one in git.iterdir()} != {
            "config",
            "hooks",
        }:
            found.append("planted in .git")
        if git.stat().st_mode & 0o777 != 0o755:
            found.append("the rights of .git changed")
        if any(not one.is_symlink() and one.stat().st_mode & 0o6000 for one in self.worktree.rglob("*")):
            found.append("a set-user-id file in the worktree")
        if self.sentinel.poll() is not None:
            found.append("a process of the host was ended")
        with contextlib.suppress(BlockingIOError):
            self.udp.recv(100)
            found.append("a datagram arrived")
        return found


def fill_worktree(base: Path) -> None:
    """Put a fresh worktree at `base`/worktree, with the links that a hostile commit may hold."""
    worktree = base / "worktree"
    shutil.rmtree(worktree, ignore_errors=True)
    (worktree / ".git" / "hooks").mkdir(parents=True)
    (worktree / ".git").chmod(0o755)
    (worktree / ".git" / "config").write_text(CONFIG)
    (worktree / "file").write_text("a file of the worktree")
    (worktree / "src").mkdir()
    (worktree / "link").symlink_to(base / "secret")
    (worktree / "folder-link").symlink_to(base / "outside")


def _address() -> str:
    """An address of this machine that is not loopback, where there is one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # TEST-NET-1: nothing is sent by connecting
        except OSError:
            return "127.0.0.1"
        return str(one.getsockname()[0])


@contextlib.contextmanager
def host() -> Generator[Host]:
    base = Path(tempfile.mkdtemp(prefix="sandbox-test-", dir="/var/tmp")).resolve()
    marker = f"marker-{secrets.token_hex(8)}"
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, base, ignore_errors=True)
        fill_worktree(base)
        (base / "outside").mkdir()
        (base / "secret").write_text(SECRET)
        tcp = stack.enter_context(socket.create_server(("0.0.0.0", 0)))
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("0.0.0.0", 0))
        udp.setblocking(False)
        path = stack.enter_context(socket.socket(socket.AF_UNIX))
        path.bind(str(base / "unix"))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{marker}")
        for one in (path, abstract):
            one.listen(100)
        asleep = [PYTHON[0], "-I", "-S", "-c", "import time; time.sleep(600)", marker]
        sentinel = subprocess.Popen(asleep, env={"TOKEN": marker})
        stack.callback(sentinel.wait)
        stack.callback(sentinel.kill)
        home = Path.home()
        files = sorted(one for one in home.iterdir() if one.is_file()) if os.access(home, os.R_OK) else []
        facts: dict[str, object] = {
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
            "address": _address(),
            "abstract": marker,
            "unix": str(base / "unix"),
            "secret": str(base / "secret"),
            "outside": str(base / "outside"),
            "worktree": str(base / "worktree"),
            "home_file": str(files[0] if files else base / "secret"),
            "disks": [str(one) for one in Path("/dev").iterdir() if one.is_block_device()] or ["/dev/sda"],
            "marker": marker,
            "pid": sentinel.pid,
        }
        yield Host(base, marker, facts, sentinel, udp)


@contextlib.contextmanager
def a_leaking_service(standing: Host) -> Generator[None]:
    """Let this process hold what a service may hold: a secret in its environment, an open descriptor."""
    descriptor = os.open(standing.base / "secret", os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    os.environ["SERVICE_TOKEN"] = standing.marker
    try:
        yield
    finally:
        del os.environ["SERVICE_TOKEN"]
        os.close(descriptor)


async def run(sandbox: Sandbox, standing: Host, program: str, limits: Limits = LIMITS) -> Outcome:
    """Run a Python program in the host's worktree."""
    policy = Policy(worktree=standing.worktree, limits=limits)
    return await sandbox.run(Command(argv=standing.argv(program)), policy)


async def attempts(sandbox: Sandbox, programs: Sequence[tuple[str, str]]) -> AsyncIterator[tuple[str, str]]:
    """Run each escape attempt on a host of its own; yield its name and what went wrong, empty when nothing."""
    for name, program in programs:
        with host() as standing, a_leaking_service(standing):
            outcome = await run(sandbox, standing, program)
            said = outcome.stdout.decode().strip()
            problems = standing.damage()
            if not outcome.ok or not said.startswith("CONTAINED"):
                problems.append(f"{outcome.reason}: {said} {outcome.stderr.decode()[-300:]}")
            yield name, "; ".join(problems)


def python_for(user: int) -> str | None:
    """A Python like this one that another user may run; None when there is none."""
    wanted = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (PYTHON[0], shutil.which(wanted, path="/usr/local/bin:/usr/bin")):
        if path is None:
            continue
        try:
            done = subprocess.run(
                [path, "-I", "-c", ""], user=user, group=user, extra_groups=[], cwd="/", check=False
            )
        except OSError:
            continue
        if done.returncode == 0:
            return path
    return None
