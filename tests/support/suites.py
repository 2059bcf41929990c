"""Real repositories with a test suite of their own, and orders that edit them as a test says."""

import subprocess
import sys
import uuid
from pathlib import Path

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.ledger import EventsQuery
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import OrderPhase
from ironclaw_contracts.events import Event, EventType
from ironclaw_contracts.snapshots import OrderSnapshot
from tests.support.git import git, make_repository
from tests.support.waiting import until

PACKAGE = {
    "src/tally/__init__.py": "",
    **{f"src/tally/part_{n}.py": f"def value():\n    return {n}\n" for n in range(30)},
    "tests/test_parts.py": (
        "import importlib\n\nimport pytest\n\n\n"
        "@pytest.mark.parametrize('n', range(30))\n"
        "def test_value(n):\n"
        "    assert importlib.import_module(f'tally.part_{n}').value() == n\n"
    ),
    "shared.txt": "one\n",
    "pyproject.toml": (
        "[tool.pytest.ini_options]\npythonpath = ['src']\naddopts = ['--disable-plugin-autoload']\n"
    ),
}
"""A Python package with its own pytest suite, which uses none of the plugins that lie about: they cost seconds a run."""

GATES = """
[[gate]]
name = "tests"
kind = "tests"
run = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
planted = { path = "src/tally/part_0.py", content = "def value():\\n    return -1\\n" }
limits = { wall_seconds = 120 }
"""


async def open_theater(
    client: ServiceClient, folder: Path, gates: str, files: dict[str, str], theater: str | None = None
) -> str:
    """Make a user's repository with these gates, and open it as a theater of its own."""
    theater = theater or f"t{uuid.uuid4().hex[:10]}"
    made = make_repository(folder / theater, {**files, ".ironclaw/gates.toml": gates})
    await client.call(api.OPEN_THEATER, TheaterRequest(theater_id=theater, repo_path=str(made)))
    return theater


async def order_work(
    client: ServiceClient, theater: str, edits: dict[str, str], constraints: Constraints | None = None
) -> str:
    """Ask for one order with these edits; return its run."""
    request = api.ChatRequest(
        message="Draft the change",
        mode="async",
        theater_hint=theater,
        inputs={"edits": edits},
        constraints=constraints or Constraints(),
    )
    return (await client.call(api.CHAT, request)).run_id


def edit(order: OrderSnapshot, tree: Path) -> None:
    """Write what the order's inputs say; an empty text removes the file."""
    for path, text in order.order.inputs["edits"].items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if text:
            target.write_text(text)
        else:
            target.unlink()


async def only_order(client: ServiceClient, run_id: str, phase: OrderPhase) -> OrderSnapshot:
    """Wait until the one order of a run is in a phase."""

    async def look() -> OrderSnapshot | None:
        orders = (await client.call(api.GET_RUN, run_id=run_id)).orders
        return orders[0] if orders and orders[0].phase is phase else None

    return await until(look, 90, f"{phase} in run {run_id}")


async def events_of(client: ServiceClient, order_id: str, kind: EventType) -> list[Event]:
    """Return an order's events of a type."""
    query = EventsQuery(order_id=order_id, type=kind)
    return (await client.call(api.LIST_EVENTS, query=query)).events


def suite_passes(repository: Path, commit: str, folder: Path) -> bool:
    """Run the repository's own suite on one commit, outside of any fleet."""
    git(repository, "worktree", "add", "-q", "--detach", str(folder), commit)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=folder, capture_output=True, text=True)
    git(repository, "worktree", "remove", "--force", str(folder))
    return done.returncode == 0 and "30 passed" in done.stdout
