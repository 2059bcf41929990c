"""One chat with one order, asked, gated, merged and answered, beside the bare git cost of the same order.

Both are measured in one run, in turn, since machines are shared and noisy: quote the ratio.

    python -m bench chat
"""

import asyncio
import subprocess
import tempfile
import time
from pathlib import Path

from bench.report import Aim, Row, paired
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import RunStatus
from ironclaw_fleet.cli.machine import running_fleet
from ironclaw_fleet.cli.session import gateway
from ironclaw_fleet.ports import free_port_row
from ironclaw_fleet.statedir import StateDirectory

GIT = ("git", "-c", "user.name=b", "-c", "user.email=b@localhost", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run([*GIT, "-C", str(folder), *arguments], check=True, capture_output=True)


def bare_git(repository: Path, number: int) -> float:
    """Return the milliseconds of the git work of one order: worktree, commit, merge, removal."""
    started = time.perf_counter()
    worktree, branch = repository.parent / f"w{number}", f"order_{number}"
    git(repository, "worktree", "add", "-q", "-b", branch, str(worktree), "main")
    (worktree / "outputs").mkdir(exist_ok=True)
    (worktree / "outputs" / f"{number}.md").write_text("text\n")
    (worktree / "aar.json").write_text("{}\n")
    git(worktree, "add", "-A")
    git(worktree, "commit", "-q", "-m", "work")
    git(repository, "merge", "-q", "--no-ff", "-m", "merge", branch)
    git(repository, "worktree", "remove", "--force", str(worktree))
    return (time.perf_counter() - started) * 1000


async def one_chat(client: object) -> float:
    """Return the milliseconds from the question to the answer."""
    started = time.perf_counter()
    answer = await client.call(api.CHAT, api.ChatRequest(message="Draft a note"))  # type: ignore[attr-defined]
    if answer.status is not RunStatus.COMPLETE:
        raise SystemExit(f"the run is {answer.status}: {answer.reason}")
    return (time.perf_counter() - started) * 1000


async def measure(rounds: int) -> list[Row]:
    """Run both in turn."""
    chats: list[float] = []
    gits: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ironclaw-bench-") as name:
        folder = Path(name)
        repository = folder / "repository"
        repository.mkdir()
        subprocess.run([*GIT, "init", "-q", "-b", "main", str(repository)], check=True)
        git(repository, "commit", "-q", "--allow-empty", "-m", "begin")
        state = StateDirectory(folder / "fleet")
        async with (
            running_fleet(state, port_base=free_port_row(), workers=1, quiet=True),
            gateway(state.path) as client,
        ):
            for _ in range(3):
                await one_chat(client)
            for number in range(rounds):
                chats.append(await one_chat(client))
                gits.append(await asyncio.to_thread(bare_git, repository, number))
    return [
        paired(
            "one chat, one order: gated, merged, answered",
            "ms",
            chats,
            gits,
            "git: worktree add, commit, merge, remove",
            Aim("<=", 2.0),
            Aim("<=", 80, "ours"),
        )
    ]


def rows() -> list[Row]:
    """Measure thirty rounds."""
    return asyncio.run(measure(30))
