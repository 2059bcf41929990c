"""Commands over a user's own repository: split, run in the sandbox, merged; what they may not do is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ironclaw_contracts.artifacts import Constraints, ToolPolicy
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.enums import Cause, OrderPhase, RunStatus
from ironclaw_contracts.snapshots import RunView
from ironclaw_contracts.transcript import ToolCall, decode_transcript
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.package import make_package
from tests.support.waiting import ended

UPGRADE = "upgrade the code to Python 3.11 style"
ALLOW_PYTHON = {
    ".ironclaw/policy.toml": '[commands]\nallow = ["python", "python3", "ruff", "missing-tool"]\n'
}


def transcript_of(repository: Path, view: RunView, number: int = 0) -> list[ToolCall]:
    order = view.orders[number]
    return decode_transcript(git(repository, "show", f"{order.merge_commit}^2:transcript.jsonl").encode())


async def run_codemod(
    fleet: FleetUnderTest, theater: str, constraints: Constraints | None = None, **inputs: object
) -> RunView:
    async with fleet.client() as client:
        request = api.ChatRequest(
            message="change the code",
            theater_hint=theater,
            playbook="codemod",
            inputs=dict(inputs),
            mode="async",
            constraints=constraints or Constraints(max_retries=0),
        )
        return await ended(client, (await client.call(api.CHAT, request)).run_id, 90)


async def theater(fleet: FleetUnderTest, name: str, repository: Path) -> Path:
    async with fleet.client() as client:
        await client.call(api.OPEN_THEATER, TheaterRequest(theater_id=name, repo_path=str(repository)))
    return repository


def test_given_a_users_repository_when_the_readme_s_second_example_runs_then_every_part_is_merged(
    spare: FleetUnderTest, tmp_path: Path
) -> None:
    repository = make_package(tmp_path / "shop", 6)
    assert "theater shop on" in spare.cli("theater", "add", str(repository))
    said = spare.cli("chat", UPGRADE, "--playbook", "codemod")  # in the one theater that is a user's own
    assert "8 of 8 parts are merged" in said, said
    for part in sorted((repository / "shop").glob("part*")):
        text = (part / "__init__.py").read_text()
        assert "list[int]) -> int | None" in text
    suite = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=repository, capture_output=True, text=True, timeout=120
    )
    assert suite.returncode == 0 and "12 passed" in suite.stdout, suite.stdout
    assert git(repository, "status", "--porcelain", "--untracked-files=no") == ""
    assert "aar.json" not in git(repository, "ls-files")


async def test_given_a_command_when_it_is_merged_then_its_transcript_and_counts_are_kept(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    repository = await theater(fleet, "kept", make_package(tmp_path / "kept", 1))
    async with fleet.client() as client:
        chat = api.ChatRequest(
            message=UPGRADE, theater_hint="kept", playbook="codemod", inputs={"pattern": "shop/part00/"}
        )
        answer = await client.call(api.CHAT, chat)
        view = await client.call(api.GET_RUN, run_id=answer.run_id)
    assert answer.status is RunStatus.COMPLETE, answer.reason
    (call,) = transcript_of(repository, view)
    assert call.tool == "command" and call.outcome == "done" and call.run is not None
    assert call.run.argv[:2] == ["ruff", "check"] and call.run.exit_code == 0 and call.run.tier != ""
    assert call.run.wall_seconds > 0 and call.run.memory_bytes_max > 0
    order = view.orders[0]
    assert [artifact.path for artifact in order.artifacts] == ["shop/part00/__init__.py"]
    report = json.loads(git(repository, "show", f"{order.merge_commit}^2:aar.json"))
    assert report["claims"]["commands"] == [call.run.argv]
    assert report["effort"] == {"tool_calls": {"command": 1}}
    assert answer.reply is not None and "1 file changed" in answer.reply


async def test_given_parts_of_which_one_fails_when_run_then_the_others_are_merged_and_the_reply_names_it(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    program = (
        "import pathlib, sys\n"
        "for path in map(pathlib.Path, sys.argv[1:]):\n"
        "    if 'shop/part01' in str(path): sys.exit('cannot do ' + str(path))\n"
        "    path.write_text('# changed\\n' + path.read_text())\n"
    )
    repository = await theater(fleet, "partly", make_package(tmp_path / "partly", 3, ALLOW_PYTHON))
    view = await run_codemod(
        fleet, "partly", command=["python3", "-c", program, "{paths}"], split=["shop/part*/", "tests/"]
    )
    assert view.run.status is RunStatus.COMPLETE
    phases = {order.title: order.phase for order in view.orders}
    assert phases == {
        "shop/part*/ (3 files)": OrderPhase.FAILED,
        "tests/ (3 files)": OrderPhase.INTEGRATED,
    }
    assert "cannot do shop/part01" in (view.run.reply or "") and "1 of 2 parts" in (view.run.reply or "")
    assert (repository / "tests" / "test_part00.py").read_text().startswith("# changed")


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"command": ["rm", "-rf", "{paths}"]}, "the command 'rm' is not allowed in this theater"),
        ({"command": ["/bin/sh", "-c", "true"]}, "'/bin/sh' is not allowed"),
        ({"command": []}, "inputs of the codemod playbook"),
        ({"command": ["ruff"], "pattern": "nowhere/"}, "no file of the mainline matches nowhere/"),
        ({}, "the words name no codemod that is known"),
    ],
    ids=["not on the list", "by its path", "empty", "no file", "no words"],
)
async def test_given_what_cannot_be_planned_when_asked_then_the_run_fails_naming_the_mend(
    fleet: FleetUnderTest, tmp_path: Path, inputs: dict[str, object], says: str
) -> None:
    name = f"refused-{abs(hash(says)) % 10_000}"
    await theater(fleet, name, make_package(tmp_path / name, 1))
    view = await run_codemod(fleet, name, **inputs)
    assert view.run.status is RunStatus.FAILED and says in (view.run.reason or "")


async def test_given_a_policy_that_cannot_be_read_when_a_command_is_asked_for_then_the_field_is_named(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    policy = {".ironclaw/policy.toml": "[commands]\nallowed = ['ruff']\n"}
    await theater(fleet, "misspelt", make_package(tmp_path / "misspelt", 1, policy))
    view = await run_codemod(fleet, "misspelt", command=["ruff", "check"])
    assert view.run.status is RunStatus.FAILED
    assert "policy.toml" in (view.run.reason or "") and "allowed" in (view.run.reason or "")


ESCAPES = {
    "a link out": ("import os; os.symlink('/etc/passwd', 'shop/loot')", "links to '/etc/passwd', outside"),
    "a link upwards": ("import os; os.symlink('../../../..', 'shop/up')", "outside the tree"),
    "the protected folder": (
        "import pathlib; pathlib.Path('.ironclaw/gates.toml').write_text('')",
        ".ironclaw/gates.toml is protected",
    ),
    "a hook": (
        "import pathlib; pathlib.Path('.git/hooks').mkdir(parents=True)",
        "Error",
    ),
    "outside by /proc": ("open('/proc/1/root/tmp/escaped', 'w').write('x')", "Error"),
    "the network": ("import socket; socket.create_connection(('127.0.0.1', {port}), 3)", "Error"),
    "a fork bomb": ("import os\nwhile True:\n    os.fork()", ""),
    "ten gigabytes": ("open('big', 'wb').truncate(10 * 2**30)", "File too large"),
    "output without end": ("while True: print('x' * 4096)", "output_limit"),
    "a daemon": (
        "import subprocess; subprocess.Popen(['sleep', '4711'], start_new_session=True);"
        "raise SystemExit('left it running')",
        "left it running",
    ),
}


@pytest.mark.trust
@pytest.mark.parametrize(("attempt", "says"), ESCAPES.values(), ids=ESCAPES)
async def test_given_an_order_that_tries_to_get_out_when_run_then_it_is_contained_and_reported(
    fleet: FleetUnderTest, tmp_path: Path, attempt: str, says: str
) -> None:
    name = "jail"
    repository = make_package(tmp_path / name, 1, ALLOW_PYTHON)
    name = f"jail-{abs(hash(attempt)) % 100_000}"
    await theater(fleet, name, repository)
    before = git(repository, "rev-parse", "HEAD")
    program = attempt.replace("{port}", str(fleet.port_base))
    view = await run_codemod(
        fleet,
        name,
        Constraints(max_retries=0, budget_seconds=20),
        command=["python3", "-c", program],
        split=["./"],
    )
    (order,) = view.orders
    assert order.phase is OrderPhase.FAILED, order
    assert {end.cause for end in order.history} == {Cause.TASK}
    assert says in order.history[0].reason, order.history[0].reason
    assert git(repository, "rev-parse", "HEAD") == before
    assert not Path("/tmp/escaped").exists() and not (repository.parent / "escaped").exists()
    left = subprocess.run(["pgrep", "-f", "sleep 4711"], capture_output=True, text=True)
    assert left.stdout == ""


async def test_given_an_order_whose_files_go_elsewhere_when_merged_then_only_plain_files_of_the_tree_came_along(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    program = (
        "import contextlib, pathlib, subprocess\n"
        "subprocess.run(['git', 'init', '-q', 'shop/own'], check=True)\n"
        "pathlib.Path('shop/own/x').write_text('x')\n"
        "with contextlib.suppress(OSError):\n"
        "    pathlib.Path('../escaped').write_text('x')\n"
    )
    repository = await theater(fleet, "inside", make_package(tmp_path / "inside", 1, ALLOW_PYTHON))
    view = await run_codemod(fleet, "inside", command=["python3", "-c", program], split=["./"])
    order = view.orders[0]
    assert order.phase is OrderPhase.INTEGRATED and order.worktree is not None
    changed = git(
        repository, "diff", "--raw", f"{order.merge_commit}^1", str(order.merge_commit)
    ).splitlines()
    assert [line.split("\t")[1] for line in changed] == ["shop/own/x"] and "160000" not in changed[0]
    assert not (Path(order.worktree.path).parent / "escaped").exists()


async def test_given_a_report_replaced_by_a_link_when_the_unit_reports_then_nothing_is_written_through_it(
    fleet: FleetUnderTest, tmp_path: Path, open_root: Path
) -> None:
    outside = open_root / "outside.json"
    outside.write_text("mine")
    program = f"import os\nfor n in ('aar.json', 'transcript.jsonl', 'state.json'):\n    os.path.exists(n) and os.remove(n)\n    os.symlink('{outside}', n)"
    await theater(fleet, "linked", make_package(tmp_path / "linked", 1, ALLOW_PYTHON))
    view = await run_codemod(fleet, "linked", command=["python3", "-c", program], split=["./"])
    assert view.run.status is RunStatus.COMPLETE, view.run.reason
    assert outside.read_text() == "mine"


async def test_given_a_narrow_allowlist_when_a_command_writes_elsewhere_then_it_cannot(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    await theater(fleet, "narrow", make_package(tmp_path / "narrow", 1, ALLOW_PYTHON))
    constraints = Constraints(max_retries=0, tool_policy=ToolPolicy(fs_allowlist=["tests/"]))
    program = "open('shop/new.py', 'w').write('x')"
    view = await run_codemod(fleet, "narrow", constraints, command=["python3", "-c", program], split=["./"])
    assert "Read-only file system" in view.orders[0].history[0].reason


async def test_given_a_tool_that_is_not_installed_when_run_then_the_reason_says_so(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    await theater(fleet, "missing", make_package(tmp_path / "missing", 1, ALLOW_PYTHON))
    view = await run_codemod(fleet, "missing", command=["missing-tool"], split=["./"])
    assert "could_not_run" in view.orders[0].history[0].reason
    assert "not installed" in view.orders[0].history[0].reason


def test_given_this_machine_when_the_doctor_looks_then_it_shows_the_tier_that_the_worker_found(
    fleet: FleetUnderTest,
) -> None:
    found = fleet.cli_json("doctor")
    assert found["sandbox"] in {"bubblewrap", "landlock"} and found["refusal"] == ""
    assert f"sandbox: {found['sandbox']}" in fleet.cli("doctor")
    health = subprocess.run(
        ["curl", "-s", f"http://127.0.0.1:{fleet.port_base + 4}/health"], capture_output=True, text=True
    )
    assert json.loads(health.stdout)["data"]["facts"] == {"sandbox": found["sandbox"]}
