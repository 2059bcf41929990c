"""What a caller of the sandbox relies on: typed outcomes, the policy's paths, the environment, no orphan."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import uvloop

from ironclaw_git import Repository, add_worktree, order_branch
from ironclaw_sandbox import BadPolicy, Command, Ended, Limits, Policy, Sandbox, Tier
from ironclaw_sandbox.run import _feed  # a race: only its loser can be made to order
from tests.integration.sandbox.host import LIMITS, PYTHON, Host, fill_worktree, run

pytestmark = pytest.mark.trust


def policy(standing: Host, **fields: object) -> Policy:
    return Policy(**{"worktree": standing.worktree, "limits": LIMITS, **fields})  # type: ignore[arg-type]


async def python(sandbox: Sandbox, given: Policy, program: str, *arguments: str, **fields: object) -> str:
    command = Command(argv=(*PYTHON, program, *arguments), **fields)  # type: ignore[arg-type]
    outcome = await sandbox.run(command, given)
    assert outcome.ok, outcome
    return outcome.stdout.decode()


async def test_given_any_tier_when_a_program_ends_then_its_code_output_and_use_are_told(
    any_tier: Sandbox, standing: Host
) -> None:
    program = "import sys; b = bytearray(50 << 20); print(sys.stdin.read()); print('two', file=sys.stderr); sys.exit(3)"
    command = Command(argv=(*PYTHON, program), stdin=b"one")
    outcome = await any_tier.run(command, policy(standing))
    assert (outcome.ended, outcome.exit_code, outcome.ok) == (Ended.EXITED, 3, False)
    assert (outcome.stdout, outcome.stderr, outcome.tier) == (b"one\n", b"two\n", any_tier.tier)
    assert outcome.usage.memory_bytes_max > 50 << 20
    assert outcome.usage.user_seconds > 0
    assert outcome.usage.wall_seconds > 0


async def test_given_any_tier_when_a_program_dies_of_a_signal_then_the_signal_is_told(
    any_tier: Sandbox, standing: Host
) -> None:
    outcome = await run(any_tier, standing, "import os; os.kill(os.getpid(), 11)")
    assert (outcome.ended, outcome.signal, outcome.exit_code) == (Ended.SIGNAL, 11, None)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("no-such-program",), "No such file"),
        (("./file",), "Permission denied"),
        (("./src",), "Permission denied"),
        (("./broken",), "Exec format error"),
    ],
)
async def test_given_any_tier_when_a_command_cannot_start_then_that_is_no_exit_code(
    any_tier: Sandbox, standing: Host, argv: tuple[str, ...], said: str
) -> None:
    broken = standing.worktree / "broken"
    broken.write_bytes(b"\x7fELF" + bytes(60))
    broken.chmod(0o755)
    outcome = await any_tier.run(Command(argv=argv), policy(standing))
    assert (outcome.ended, outcome.exit_code, outcome.ok) == (Ended.COULD_NOT_RUN, None, False)
    assert said in outcome.reason


async def test_given_any_tier_when_the_wall_time_is_up_then_the_output_so_far_is_kept(
    any_tier: Sandbox, standing: Host
) -> None:
    program = "import time; print('begun', flush=True); time.sleep(60)"
    outcome = await run(any_tier, standing, program, Limits(wall_seconds=3, free_bytes=0))
    assert (outcome.ended, outcome.stdout) == (Ended.TIMEOUT, b"begun\n")


async def test_given_bubblewrap_that_fails_when_a_command_runs_then_it_could_not_run_and_says_why(
    standing: Host,
) -> None:
    outcome = await run(Sandbox(tier=Tier.BUBBLEWRAP, bwrap="/bin/false"), standing, "print(1)")
    assert outcome.ended is Ended.COULD_NOT_RUN
    assert "without a report" in outcome.reason


async def test_given_any_tier_when_the_environment_is_read_then_only_the_allowed_and_the_asked_are_there(
    any_tier: Sandbox, standing: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "IRONCLAW_MODEL_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "SSH_AUTH_SOCK",
        "LD_PRELOAD",
        "PYTHONPATH",
    ):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LANG", "C.UTF-8")
    program = "import os; print(sorted(os.environ))"
    said = await python(
        any_tier,
        policy(standing),
        program,
        environment={"MODEL_URL": "http://x"},
        search_path=("/opt/tools",),
    )
    allowed = {"HOME", "USER", "LOGNAME", "TMPDIR", "TERM", "NO_COLOR", "GIT_TERMINAL_PROMPT", "PATH"}
    allowed |= {"LANG", "LC_ALL", "LC_CTYPE", "TZ", "MODEL_URL"}
    names = set(eval(said))
    assert names <= allowed
    assert {"MODEL_URL", "HOME", "PATH", "LANG"} <= names


@pytest.mark.parametrize(
    ("allowlist", "open_paths", "closed_paths"),
    [
        (("./",), ["new", "src/new"], []),
        (("./*",), ["new", "src/new"], []),
        (("src/",), ["src/new"], ["new", "file"]),
        (("src/*.py",), ["src/new.py"], ["new"]),
        (("outputs/", "src"), ["outputs/new", "src/new"], ["file", "new"]),
        (("file",), ["file"], ["new", "src/new"]),
    ],
)
async def test_given_an_allow_list_when_files_are_written_then_only_those_below_it_are(
    sandbox: Sandbox,
    standing: Host,
    allowlist: tuple[str, ...],
    open_paths: list[str],
    closed_paths: list[str],
) -> None:
    program = """
import sys
for path in sys.argv[1:]:
    try: open(path, 'a').write('x'); print(path)
    except OSError: pass
"""
    said = await python(
        sandbox, policy(standing, fs_allowlist=allowlist), program, *open_paths, *closed_paths
    )
    assert said.split() == open_paths
    assert all((standing.worktree / path).read_text().endswith("x") for path in open_paths)
    assert standing.damage() == []


async def test_given_ordinary_work_when_it_runs_in_a_tier_then_it_works(
    sandbox: Sandbox, standing: Host
) -> None:
    program = """
import multiprocessing, os, pathlib, shutil, socket, subprocess, sys, tempfile, threading
pathlib.Path('a').mkdir(); pathlib.Path('b').mkdir()
pathlib.Path('a/x').write_text('1'); os.rename('a/x', 'b/x'); os.replace('b/x', 'y'); os.chmod('y', 0o755)
os.symlink('y', 'z'); os.link('y', 'w'); shutil.copy('y', 'v'); shutil.rmtree('a')
with socket.create_server(('127.0.0.1', 0)) as server:
    socket.create_connection(server.getsockname()).close()
with socket.socket(socket.AF_UNIX) as one: one.bind(tempfile.mkdtemp() + '/s')
socket.socketpair()
lock = multiprocessing.Lock()
one = threading.Thread(target=lock.acquire); one.start(); one.join()
assert subprocess.run(['sh', '-c', 'echo $HOME > $HOME/written && cat /dev/null'], check=True).returncode == 0
main, other = os.openpty()
assert os.cpu_count() and os.getuid() == 65534 and os.getcwd() == sys.argv[1]
import pwd; assert pwd.getpwuid(os.getuid()).pw_name == 'nobody'
print('done')
"""
    assert await python(sandbox, policy(standing), program, str(standing.worktree)) == "done\n"
    assert (standing.worktree / "y").stat().st_uid == os.geteuid()


async def test_given_a_linked_worktree_of_git_when_a_command_runs_then_its_pointer_and_repository_stay(
    sandbox: Sandbox, standing: Host
) -> None:
    repository = await Repository.create(standing.base / "outside" / "vault.git")
    tree = standing.base / "outside" / "tree"
    await add_worktree(repository, tree, order_branch("order_1", 1), await repository.mainline_head())
    pointer = (tree / ".git").read_bytes()
    attempt = """
import os, subprocess
for what in (lambda: open('.git', 'w'), lambda: os.remove('.git'), lambda: os.rename('.git', 'x'),
             lambda: open(open('.git').read().split()[1] + '/config', 'a')):
    try: what(); print('THROUGH')
    except OSError: pass
open('work', 'w').write('done')
"""
    said = await python(sandbox, Policy(worktree=tree, limits=LIMITS), attempt)
    assert said == ""
    assert (tree / ".git").read_bytes() == pointer
    assert (tree / "work").read_text() == "done"


async def test_given_a_folder_without_git_when_a_command_runs_then_it_cannot_plant_a_repository(
    sandbox: Sandbox, standing: Host, tmp_path: Path
) -> None:
    outcome = await sandbox.run(Command(argv=("git", "init")), Policy(worktree=tmp_path, limits=LIMITS))
    assert not outcome.ok
    assert list((tmp_path / ".git").iterdir()) == []


@pytest.mark.parametrize("place", ["/tmp", "/var/tmp", "home"])
async def test_given_a_worktree_anywhere_when_a_command_writes_then_it_lands_there_and_nowhere_else(
    sandbox: Sandbox, place: str
) -> None:
    home = Path.home()
    if place == "home" and not os.access(home, os.W_OK):
        pytest.skip("this user has no home that can be written")
    with tempfile.TemporaryDirectory(
        prefix=".sandbox-test-", dir=home if place == "home" else place
    ) as folder:
        fill_worktree(Path(folder))
        tree = Path(folder, "worktree").resolve()
        program = "open('in', 'w')\ntry: open('../out', 'w')\nexcept OSError: pass"
        await python(sandbox, Policy(worktree=tree, limits=LIMITS), program)
        assert (tree / "in").exists()
        assert not (tree.parent / "out").exists()


async def test_given_readable_folders_when_they_are_named_then_they_are_seen_and_cannot_be_written(
    sandbox: Sandbox, standing: Host
) -> None:
    tools = standing.base / "outside"
    (tools / "tool").write_text("a tool")
    link = standing.base / "unix-link"
    link.symlink_to(tools)
    program = """
import sys
for path in sys.argv[1:]:
    print(open(path + '/tool').read())
    try: open(path + '/tool', 'a'); print('THROUGH')
    except OSError: pass
"""
    given = policy(standing, readable=(tools, link))
    assert await python(sandbox, given, program, str(tools), str(link)) == "a tool\na tool\n"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"fs_allowlist": ("../",)}, "fs_allowlist"),
        ({"fs_allowlist": ("/etc",)}, "fs_allowlist"),
        ({"fs_allowlist": ("folder-link/",)}, "fs_allowlist"),
        ({"fs_allowlist": ("src/../../outside",)}, "fs_allowlist"),
        ({"fs_allowlist": (".git/",)}, "fs_allowlist"),
        ({"fs_allowlist": ("src/.GIT/hooks",)}, "fs_allowlist"),
        ({"fs_allowlist": ("a\0b",)}, "fs_allowlist"),
        ({"fs_allowlist": ("",)}, "fs_allowlist"),
        ({"fs_allowlist": ("x" * 5000,)}, "fs_allowlist"),
        ({"worktree": Path("relative")}, "worktree"),
        ({"worktree": Path("/")}, "worktree"),
        ({"worktree": Path("/usr")}, "worktree"),
        ({"worktree": Path("/nonexistent")}, "worktree"),
        ({"readable": (Path("/"),)}, "readable"),
        ({"readable": (Path("/proc"),)}, "readable"),
        ({"readable": (Path("relative"),)}, "readable"),
        ({"readable": (Path("/nonexistent"),)}, "readable"),
    ],
)
async def test_given_a_policy_that_cannot_be_granted_when_a_command_is_run_then_the_field_is_named(
    standing: Host, fields: dict[str, object], named: str
) -> None:
    with pytest.raises(BadPolicy, match=named):
        await Sandbox(tier=Tier.LANDLOCK).run(Command(argv=("true",)), policy(standing, **fields))
    assert standing.damage() == []


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (Command(argv=()), "argv"),
        (Command(argv=("a\0b",)), "argv"),
        (Command(argv=("x" * 2_000_000,)), "argv"),
        (Command(argv=("true",), folder=".."), "folder"),
        (Command(argv=("true",), folder="folder-link"), "folder"),
        (Command(argv=("true",), folder="missing"), "folder"),
        (Command(argv=("true",), environment={"A=B": "x"}), "environment"),
        (Command(argv=("true",), environment={"A": "x\0"}), "environment"),
        (Command(argv=("true",), search_path=("bin",)), "search_path"),
    ],
)
async def test_given_a_command_that_means_nothing_when_it_is_run_then_the_field_is_named(
    standing: Host, command: Command, named: str
) -> None:
    with pytest.raises(BadPolicy, match=named):
        await Sandbox(tier=Tier.LANDLOCK).run(command, policy(standing))


async def test_given_the_network_is_granted_when_a_program_connects_then_it_reaches_but_no_abstract_socket(
    sandbox: Sandbox, standing: Host
) -> None:
    program = """
import socket, sys
socket.create_connection(('127.0.0.1', int(sys.argv[1])), 2).close()
try: socket.socket(socket.AF_UNIX).connect(chr(0) + sys.argv[2]); print('THROUGH')
except OSError: print('reached the network alone')
"""
    port = str(standing.facts["tcp"])
    said = await python(sandbox, policy(standing, network=True), program, port, standing.marker)
    assert said == "reached the network alone\n"


def processes_with(marker: str) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if any(marker == word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


async def soon(condition: "Iterator[bool]") -> None:
    async with asyncio.timeout(10):
        while not next(condition):
            await asyncio.sleep(0.02)


MANY = """
import os, sys, time
os.fork(); os.fork()
if os.fork() == 0: os.setsid()
while True: time.sleep(1)
"""


async def test_given_any_tier_when_the_caller_is_cancelled_then_nothing_is_left(
    any_tier: Sandbox, standing: Host
) -> None:
    marker = f"cancel-{standing.marker}"
    task = asyncio.create_task(any_tier.run(Command(argv=(*PYTHON, MANY, marker)), policy(standing)))
    await soon(len(processes_with(marker)) == 8 for _ in iter(int, 1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_with(marker) == []


SERVICE = """
import asyncio, sys
from pathlib import Path
from ironclaw_sandbox import Command, Policy, Sandbox, Tier
tier, bwrap, worktree, *argv = sys.argv[1:]
asyncio.run(Sandbox(tier=Tier(tier), bwrap=bwrap).run(Command(argv=tuple(argv)), Policy(worktree=Path(worktree))))
"""


async def test_given_any_tier_when_the_service_is_killed_outright_then_nothing_is_left(
    any_tier: Sandbox, standing: Host
) -> None:
    marker = f"kill-{standing.marker}"
    tree = str(standing.worktree)
    words = [any_tier.tier, any_tier.bwrap, tree, *PYTHON, MANY, marker]
    service = subprocess.Popen([sys.executable, "-c", SERVICE, *words])
    try:
        # The service's own command line has the marker too, and bubblewrap's has not.
        await soon(len(processes_with(marker)) == 9 for _ in iter(int, 1))
    finally:
        service.send_signal(signal.SIGKILL)
        service.wait()
    await soon(processes_with(marker) == [] for _ in iter(int, 1))


async def test_given_any_tier_when_many_commands_ran_then_no_descriptor_and_no_process_is_left(
    any_tier: Sandbox, standing: Host
) -> None:
    me = psutil.Process()
    await run(any_tier, standing, "print(1)")
    # Servers of the session's other fixtures are children of this process too; psutil tells processes
    # apart by pid and start time.
    before, others = me.num_fds(), set(me.children())
    for _ in range(5):
        await asyncio.gather(*(run(any_tier, standing, "print(1)") for _ in range(4)))
    assert me.num_fds() <= before
    assert set(me.children()) - others == set()


async def test_given_a_package_with_its_own_suite_when_its_tests_and_linter_run_in_a_tier_then_they_do_their_work(
    sandbox: Sandbox, standing: Host
) -> None:
    (standing.worktree / "test_it.py").write_text(
        "import os\nfrom typing import List\n\ndef test_good(tmp_path):\n    (tmp_path / 'x').write_text('x')\n"
    )
    given = policy(standing, readable=(Path(sys.prefix),))
    tests = await sandbox.run(
        Command(
            argv=("python", "-m", "pytest", "-q", "--disable-plugin-autoload"),
            search_path=(f"{sys.prefix}/bin",),
        ),
        given,
    )
    assert tests.ok and b"1 passed" in tests.stdout, tests
    argv = ("ruff", "check", "--fix", "--select", "F401", "test_it.py")
    fixed = await sandbox.run(Command(argv=argv, search_path=(f"{sys.prefix}/bin",)), given)
    assert fixed.ok, fixed
    assert "import" not in (standing.worktree / "test_it.py").read_text()


@pytest.mark.parametrize("name", ["--bind", "a b\nc", "ünï'\"$(id)", os.fsdecode(b"\xff\xfe"), "-", "%s{}"])
async def test_given_a_worktree_with_an_odd_name_when_a_command_runs_then_the_name_is_only_a_name(
    sandbox: Sandbox, standing: Host, name: str
) -> None:
    tree = standing.base / "outside" / name
    tree.mkdir()
    await python(sandbox, Policy(worktree=tree, limits=LIMITS), "open('written', 'w')")
    assert sorted(os.listdir(tree)) == [".git", "written"]
    assert os.listdir(standing.base / "outside") == [name]


def test_given_a_command_that_has_ended_when_it_is_fed_on_the_services_loop_then_nothing_breaks() -> None:
    async def late() -> None:
        process = await asyncio.create_subprocess_exec("true", stdin=subprocess.PIPE)
        assert process.stdin is not None
        await process.wait()
        while not process.stdin.is_closing():
            await asyncio.sleep(0.01)
        await _feed(process.stdin, b"too late")

    uvloop.run(asyncio.wait_for(late(), 10))
