"""Commands of gates in the real sandbox: judged once a tree, flaky ones marked, nothing got out, no sandbox no verdict."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from ironclaw_integration.definition import CommandGate, GateLimits, Plant
from ironclaw_integration.runner import GateRunner
from ironclaw_integration.scratch import Scratch
from ironclaw_integration.store import Store
from ironclaw_integration.toolchain import Toolchain, fingerprint
from ironclaw_sandbox import Ended, Outcome, Sandbox
from tests.integration.gates.conftest import Work

PLANT = Plant(path="a", content="")


def gate(*run: str, **more: object) -> CommandGate:
    return CommandGate(name="check", run=list(run), planted=PLANT, **more)  # type: ignore[arg-type]


async def test_given_a_tree_when_judged_again_or_at_once_then_the_command_ran_once(
    runner: GateRunner, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = 0
    real = Sandbox.run

    async def counted(self: Sandbox, *given: object) -> Outcome:
        nonlocal runs
        runs += 1
        return await real(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Sandbox, "run", counted)
    tree = await work.tree({"a": "a\n"})
    check = gate("cat", "a")
    together = await asyncio.gather(*(runner.judge(work.repository, tree, check) for _ in range(5)))
    assert {one.verdict for one in together} == {"passed"} and runs == 1
    assert sorted(one.cached for one in together) == [False, True, True, True, True]
    assert {one.output for one in together} != {None}
    same_tree = await work.tree({"a": "a\n"})
    assert same_tree.commit != tree.commit or same_tree == tree
    assert (await runner.judge(work.repository, same_tree, check)).cached and runs == 1
    assert not (await runner.judge(work.repository, tree, gate("cat", "a", "a"))).cached and runs == 2


async def test_given_a_failure_when_retries_are_allowed_then_what_passes_later_is_marked_flaky(
    runner: GateRunner, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [1, 0]

    async def unsteady(self: Sandbox, *_: object) -> Outcome:
        code = answers.pop(0)
        return Outcome(
            ended=Ended.EXITED, reason=f"exit code {code}", tier=self.tier, exit_code=code, stdout=b"tried\n"
        )

    monkeypatch.setattr(Sandbox, "run", unsteady)
    tree = await work.tree({"a": "a\n"})
    result = await runner.judge(work.repository, tree, gate("cat", "a", retries=1))
    assert (result.verdict, result.flaky) == ("passed", True) and "try 2" in result.detail
    kept = await runner.judge(work.repository, tree, gate("cat", "a", retries=1))
    assert kept.flaky and kept.cached
    answers[:] = [1, 0]
    assert (await runner.judge(work.repository, tree, gate("cat", "a"))).verdict == "failed"


async def test_given_no_sandbox_when_judged_then_the_gate_could_not_run_and_the_mend_is_named(
    store: Store, work: Work, tmp_path: Path
) -> None:
    scratch = Scratch.open(tmp_path / "s")
    runner = GateRunner(store, scratch, None, "no tier works; install bubblewrap", Toolchain(), 1)
    tree = await work.tree({"a": "a\n"})
    result = await runner.judge(work.repository, tree, gate("true"))
    assert (result.verdict, result.detail) == ("could_not_run", "no tier works; install bubblewrap")
    scratch.close()


_REACH = """
import json, os, pathlib, socket, sys
port, secret, outside = sys.argv[1:]
def tries(what):
    try:
        what()
    except Exception as error:
        return type(error).__name__
    return "reached"
print(json.dumps({
    "network": tries(lambda: socket.create_connection(("127.0.0.1", int(port)), timeout=2)),
    "secret": tries(lambda: pathlib.Path(secret).read_text()),
    "outside": tries(lambda: pathlib.Path(outside, "planted").write_text("x")),
    "git": tries(lambda: pathlib.Path(".git/hooks").mkdir(parents=True)),
    "environment": [name for name in os.environ if "SECRET" in name or "IRONCLAW" in name],
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "link": tries(lambda: pathlib.Path("link").read_text()),
}))
"""


async def test_given_a_suite_that_tries_to_get_out_when_judged_then_it_reaches_nothing(
    runner: GateRunner, store: Store, work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IRONCLAW_SECRET", "a secret of the service")
    secret = tmp_path / "secret"
    secret.write_text("of the host")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = str(listening.getsockname()[1])
        tree = await work.tree({"reach.py": _REACH})
        check = gate("python", "reach.py", port, str(secret), str(tmp_path))
        result = await runner.judge(work.repository, tree, check)
    assert result.verdict == "passed", result.detail
    printed = json.loads(await store.output(str(result.output)) or b"{}")
    assert printed.pop("environment") == [] and printed.pop("processes") < 10
    printed.pop("outside")  # its own /tmp may have a folder of that name
    assert not (tmp_path / "planted").exists()
    assert "reached" not in printed.values(), printed
    # The same program reaches out where nothing contains it, so the attempt means something.
    bare = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            "import pathlib,sys; print(pathlib.Path(sys.argv[1]).read_text())",
            str(secret),
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    assert (await bare.communicate())[0].strip() == b"of the host"


@pytest.mark.parametrize(
    ("program", "limits", "said"),
    [
        ("import time; time.sleep(60)", GateLimits(wall_seconds=1), "timeout"),
        ("x = bytearray(1 << 30)\nx[::4096] = b'1' * len(x[::4096])\nimport time; time.sleep(5)", GateLimits(memory_mib=128), "memory"),
        ("import os\nwhile True:\n    os.fork()", GateLimits(processes=50, wall_seconds=20), "process_limit"),
        ("open('big', 'wb').truncate(0)\nf = open('big', 'ab')\nwhile True:\n    f.write(b'0' * (1 << 20))", GateLimits(disk_mib=32, wall_seconds=30), "disk_limit"),
    ],
    ids=["sleep", "memory", "fork bomb", "disk fill"],
)  # fmt: skip
async def test_given_a_suite_that_takes_too_much_when_judged_then_its_limit_ends_it_and_nothing_is_kept(
    runner: GateRunner, work: Work, program: str, limits: GateLimits, said: str
) -> None:
    tree = await work.tree({"take.py": program})
    check = gate("python", "take.py", limits=limits)
    result = await runner.judge(work.repository, tree, check)
    assert result.verdict == "failed" and (said in result.detail or "MemoryError" in result.detail), result
    if "MemoryError" not in result.detail:
        assert not (await runner.judge(work.repository, tree, check)).cached


def test_given_a_virtual_environment_when_something_is_installed_then_the_tools_have_another_name(
    tmp_path: Path,
) -> None:
    venv = tmp_path / "venv"
    packages = venv / "lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (venv / "bin").mkdir()
    tools = Toolchain((venv,))
    names = {fingerprint(tools, "pytest", "landlock")}
    (packages / "pytest-8.0.dist-info").mkdir()
    names.add(fingerprint(tools, "pytest", "landlock"))
    (venv / "bin/pytest").write_text("#!/bin/sh\n")
    (venv / "bin/pytest").chmod(0o755)
    names.add(fingerprint(tools, "pytest", "landlock"))
    names.add(fingerprint(tools, "pytest", "bubblewrap"))
    assert len(names) == 4
    # What runs by way of another program counts too.
    through = {fingerprint(tools, "make", "landlock")}
    (venv / "bin/pytest").write_text("#!/bin/sh\nexit 0\n")
    through.add(fingerprint(tools, "make", "landlock"))
    (venv / "bin/broken").symlink_to("nowhere")
    through.add(fingerprint(tools, "make", "landlock"))
    assert len(through) == 3
    assert tools.search_path == (str(venv / "bin"),)


def test_given_scratch_folders_when_opened_then_only_those_of_dead_processes_are_swept(
    tmp_path: Path,
) -> None:
    living = Scratch.open(tmp_path)
    left = tmp_path / "gates-left"
    (left / "tree-x").mkdir(parents=True)
    (left / "lock").touch()
    other = Scratch.open(tmp_path)
    assert not left.exists() and len(os.listdir(tmp_path)) == 2
    other.close()
    living.close()
    assert os.listdir(tmp_path) == []
