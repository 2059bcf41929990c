"""What of a theater an attempt's worktree holds: all of it for whoever may look anywhere, else the named files."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ironclaw_contracts.commands import AGENT, COMMAND
from ironclaw_contracts.endpoints.vault import TheaterRequest, WorktreeRequest
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Person, add_worktree, commit_all, promote
from ironclaw_git.trees import commit_changed
from ironclaw_vault.theaters import Theaters
from ironclaw_vault.worktrees import Worktrees
from tests.unit.ledger.history import History

from .test_janitor import Orders

UNIT = Person("unit", "unit@fleet.example")
FILES = {
    "README.md": b"x\n",
    "inputs/call.txt": b"x\n",
    "context/terms.md": b"x\n",
    "outputs/r1/draft.md": b"x\n",
    "src/deep/er.py": b"x\n",
}


@pytest.fixture
async def theaters(tmp_path: Path) -> Theaters:
    made = Theaters(tmp_path / "vault", [])
    await made.open(TheaterRequest(theater_id="t"))
    repository = await made.repository("t")
    head = await repository.mainline_head()
    files = await commit_changed(repository, head, FILES, "files")
    linking = await add_worktree(repository, tmp_path / "linking", "linking", files)
    (linking.path / "context/manual").symlink_to("../src/deep")
    await promote(repository, await commit_all(linking.path, "A link", UNIT), head)
    return made


def ordered(kind: str, inputs: dict[str, Any]) -> OrderSnapshot:
    made = History()
    made.run()
    order = made.create("o1")
    return replace(order, order=replace(order.order, type=kind, inputs=inputs))


@pytest.mark.parametrize(
    ("kind", "inputs", "there"),
    [
        ("draft", {}, {"README.md"}),
        ("draft", {"output": "outputs/r1/draft.md"}, {"README.md"}),
        ("draft", {"output": "context/manual/page.md"}, set(FILES)),
        (
            "extract",
            {"files": ["src/../inputs/call.txt"], "context": ["src/deep/er.py"]},
            {"README.md", "inputs/call.txt", "src/deep/er.py"},
        ),
        ("draft", {"files": ["../outside"]}, set(FILES)),
        ("draft", {"files": "inputs/call.txt"}, set(FILES)),
        (COMMAND, {"argv": ["true"]}, set(FILES)),
        (AGENT, {"files": ["inputs/call.txt"]}, set(FILES)),
    ],
)
async def test_given_an_order_when_its_worktree_is_made_then_what_it_touches_is_there(
    theaters: Theaters, kind: str, inputs: dict[str, Any], there: set[str]
) -> None:
    orders = Orders()
    orders.known["o1"] = ordered(kind, inputs)
    worktrees = Worktrees(theaters, orders)  # type: ignore[arg-type]
    made = Path((await worktrees.create(WorktreeRequest(theater_id="t", order_id="o1"))).worktree_path)
    assert {name for name in FILES if (made / name).exists()} == there
