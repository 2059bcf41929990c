"""One chat with one order, asked, gated, merged and answered, beside the bare git cost of the same order.

Both are measured in one run, in turn, since machines are shared and noisy: quote the ratio.

    python bench/chat.py [--rounds 30] [--json results.json]
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

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


async def measure(rounds: int) -> dict[str, object]:
    """Run both in turn and return the figures."""
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
    ratio = statistics.median(chat / bare for chat, bare in zip(chats, gits, strict=True))
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "rounds": rounds,
        "chat_ms": quartiles(chats),
        "bare_git_ms": quartiles(gits),
        "ratio_median": round(ratio, 2),
    }


def quartiles(values: list[float]) -> dict[str, float]:
    """Return minimum, median, 90th percentile and maximum."""
    ordered = sorted(values)
    return {
        "min": round(ordered[0], 1),
        "median": round(statistics.median(ordered), 1),
        "p90": round(ordered[int(len(ordered) * 0.9)], 1),
        "max": round(ordered[-1], 1),
    }


def main() -> None:
    """Print the table, and the JSON where it is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.rounds))
    print(f"{found['machine']}, {found['rounds']} rounds in turn")
    print(f"{'':<34}{'min':>8}{'median':>8}{'p90':>8}{'max':>8}")
    for label, key in (
        ("one chat, merged and answered, ms", "chat_ms"),
        ("bare git of the same order, ms", "bare_git_ms"),
    ):
        row = found[key]
        print(f"{label:<34}" + "".join(f"{row[column]:>8}" for column in ("min", "median", "p90", "max")))  # type: ignore[index]
    print(f"ratio, median of pairs: {found['ratio_median']}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
