"""TRUST row 14: bombs, floods and what refuses to die. Each limit holds, and the outcome says which."""

import asyncio
import contextlib

import psutil
import pytest

from ironclaw_sandbox import Command, Ended, Limits, Outcome, Policy, Sandbox, Tier
from tests.integration.sandbox.host import PYTHON, Host, run

pytestmark = pytest.mark.trust
MIB = 1024 * 1024
SMALL = Limits(
    cpu_seconds=20,
    wall_seconds=20,
    memory_bytes=128 * MIB,
    processes=40,
    file_bytes=8 * MIB,
    written_bytes=32 * MIB,
    free_bytes=0,
    output_bytes=64 * 1024,
    scratch_bytes=8 * MIB,
)


def limits(**changed: float) -> Limits:
    return Limits(**{name: changed.get(name, getattr(SMALL, name)) for name in SMALL.__struct_fields__})  # type: ignore[arg-type]


def left_of(standing: Host) -> list[str]:
    """Command lines of processes that still carry the test's marker, but for the host's own."""
    found: list[str] = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if standing.marker in line and process.pid != standing.sentinel.pid:
                found.append(line)
    return found


async def limited(sandbox: Sandbox, standing: Host, program: str, given: Limits = SMALL) -> Outcome:
    """Run a program and see that nothing of it is left, and that the host is whole."""
    outcome = await run(sandbox, standing, program, given)
    assert left_of(standing) == []
    assert standing.damage() == []
    return outcome


FORK_BOMB = """
import os, time
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""
THREAD_BOMB = """
import threading, time
while True:
    try:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    except RuntimeError:
        time.sleep(0.01)
"""


@pytest.mark.parametrize("program", [FORK_BOMB, THREAD_BOMB], ids=["fork", "thread"])
async def test_given_a_bomb_when_it_multiplies_then_it_is_bounded_and_ended(
    sandbox: Sandbox, standing: Host, program: str
) -> None:
    outcome = await limited(sandbox, standing, program, limits(wall_seconds=3))
    # Where the kernel bounds the number (an ordinary user), the bomb goes on in vain until its time is up.
    assert outcome.ended in {Ended.PROCESS_LIMIT, Ended.TIMEOUT}
    if outcome.ended is Ended.TIMEOUT:
        assert outcome.usage.processes_max <= SMALL.processes


MEMORY = {
    "one process": "b = bytearray(1 << 30); print('THROUGH')",
    "touched slowly": "a = []\nwhile True: a.append(bytearray(1 << 20))",
    "many children": """
import os, time
for _ in range(20):
    if os.fork() == 0:
        held = b'x' * (20 << 20)
        time.sleep(30)
time.sleep(30)
""",
    "shared memory": """
import mmap, time
held = mmap.mmap(-1, 1 << 30)
for place in range(0, 1 << 30, 4096): held[place] = 1
time.sleep(30)
""",
    "detached segments": """
import ctypes, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
for _ in range(40):
    one = libc.shmget(0, 16 << 20, 0o1600)
    at = libc.shmat(one, None, 0)
    ctypes.memset(at, 1, 16 << 20)
    libc.shmdt(ctypes.c_void_p(at))
    time.sleep(0.05)
print('THROUGH')
""",
}


@pytest.mark.parametrize("name", MEMORY)
async def test_given_a_memory_bomb_when_it_grows_then_it_fails_or_is_ended(
    sandbox: Sandbox, standing: Host, name: str
) -> None:
    outcome = await limited(sandbox, standing, MEMORY[name])
    refused = outcome.ended is Ended.EXITED and b"MemoryError" in outcome.stderr
    assert outcome.ended is Ended.MEMORY_LIMIT or refused, outcome
    assert b"THROUGH" not in outcome.stdout
    assert outcome.usage.memory_bytes_max < 1024 * MIB


async def test_given_children_that_share_memory_when_they_are_many_then_it_is_counted_once(
    sandbox: Sandbox, standing: Host
) -> None:
    program = """
import os, time
held = b'x' * (40 << 20)
children = []
for _ in range(8):
    child = os.fork()
    if child == 0:
        time.sleep(0.5)
        os._exit(0)
    children.append(child)
for child in children: os.waitpid(child, 0)
"""
    outcome = await limited(sandbox, standing, program)
    assert outcome.ok, outcome


async def test_given_a_file_of_ten_gigabytes_when_it_is_written_then_the_file_limit_ends_it(
    sandbox: Sandbox, standing: Host
) -> None:
    argv = ("dd", "if=/dev/zero", "of=big", "bs=1M", "count=10240")
    outcome = await sandbox.run(Command(argv=argv), Policy(worktree=standing.worktree, limits=SMALL))
    assert outcome.ended is Ended.FILE_LIMIT, outcome
    assert (standing.worktree / "big").stat().st_size <= SMALL.file_bytes


@pytest.mark.parametrize(
    "how",
    ["os.truncate('big', 10 << 30)", "os.posix_fallocate(f.fileno(), 0, 10 << 30)"],
    ids=["sparse", "allocated"],
)
async def test_given_a_file_of_ten_gigabytes_when_it_is_not_written_but_claimed_then_it_is_refused(
    sandbox: Sandbox, standing: Host, how: str
) -> None:
    program = f"import os, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nf = open('big', 'w')\n{how}"
    outcome = await limited(sandbox, standing, program)
    assert outcome.ended is Ended.EXITED and outcome.exit_code == 1, outcome
    assert (standing.worktree / "big").stat().st_size <= SMALL.file_bytes


async def test_given_many_files_when_they_fill_the_disk_then_the_disk_limit_ends_it(
    sandbox: Sandbox, standing: Host
) -> None:
    program = """
import time
for number in range(200):
    with open(f'part-{number}', 'wb') as f: f.write(bytes(4 << 20))
    time.sleep(0.01)
print('THROUGH')
"""
    outcome = await limited(sandbox, standing, program)
    assert outcome.ended is Ended.DISK_LIMIT, outcome
    assert b"THROUGH" not in outcome.stdout


async def test_given_a_nearly_full_disk_when_a_command_runs_then_it_is_ended(
    sandbox: Sandbox, standing: Host
) -> None:
    outcome = await limited(sandbox, standing, "import time; time.sleep(10)", limits(free_bytes=1 << 60))
    assert outcome.ended is Ended.DISK_LIMIT


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
async def test_given_scratch_space_when_it_is_filled_then_it_is_full(
    sandbox: Sandbox, standing: Host, folder: str
) -> None:
    program = f"""
import errno
try:
    for number in range(40):
        with open('{folder}/part-%d' % number, 'wb') as f: f.write(bytes(4 << 20))
except OSError as problem:
    print(problem.errno == errno.ENOSPC)
"""
    outcome = await limited(sandbox, standing, program)
    assert outcome.stdout == b"True\n", outcome


SPIN = "while True: pass"
SPIN_TOGETHER = "import os\nfor _ in range(3): os.fork()\nwhile True: pass"


@pytest.mark.parametrize("program", [SPIN, SPIN_TOGETHER], ids=["one", "eight together"])
async def test_given_a_spinning_program_when_its_cpu_time_is_up_then_it_is_ended(
    sandbox: Sandbox, standing: Host, program: str
) -> None:
    outcome = await limited(sandbox, standing, program, limits(cpu_seconds=0.5))
    assert outcome.ended is Ended.CPU_LIMIT, outcome
    assert 0.3 < outcome.usage.user_seconds + outcome.usage.system_seconds < 8


async def test_given_a_program_that_ignores_every_signal_when_its_time_is_up_then_it_is_ended(
    sandbox: Sandbox, standing: Host
) -> None:
    program = """
import os, signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGINT, signal.SIGCHLD):
    try: os.kill(1, number)
    except PermissionError: pass
print('still here', flush=True)
while True: time.sleep(1)
"""
    outcome = await limited(sandbox, standing, program, limits(wall_seconds=4))
    assert outcome.ended is Ended.TIMEOUT
    assert outcome.stdout == b"still here\n"


ENDS_ALL = """
import os, time
if os.fork() == 0: time.sleep(60)
try: os.kill(-1, 9)
except PermissionError: pass
os.kill(os.getpid(), 9)
"""


async def test_given_a_program_that_ends_its_whole_world_when_it_runs_then_its_end_is_told(
    sandbox: Sandbox, standing: Host
) -> None:
    outcome = await limited(sandbox, standing, ENDS_ALL)
    assert (outcome.ended, outcome.signal) == (Ended.SIGNAL, 9)


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True: time.sleep(1)
    os._exit(0)
os.wait()
print('the parent is done')
"""


@pytest.mark.parametrize("tier", [None, Tier.OFF], ids=["contained", "off"])
async def test_given_a_daemon_when_the_command_ends_then_it_ends_too_and_nobody_waits_for_its_pipe(
    sandbox: Sandbox, standing: Host, tier: Tier | None
) -> None:
    used = sandbox if tier is None else Sandbox(tier=tier)
    outcome = await limited(used, standing, DAEMON)
    # Who waited for the daemon's end of the pipe would wait until the wall time is up.
    assert outcome.ok, outcome
    assert outcome.stdout == b"the parent is done\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_given_an_output_flood_when_it_passes_the_limit_then_it_is_cut_and_the_command_ended(
    sandbox: Sandbox, standing: Host, stream: str
) -> None:
    program = f"import sys\nwhile True: sys.{stream}.write('x' * 65536)"
    outcome = await limited(sandbox, standing, program)
    assert outcome.ended is Ended.OUTPUT_LIMIT
    assert len(getattr(outcome, stream)) == SMALL.output_bytes
    assert getattr(outcome, f"{stream}_truncated")


async def test_given_a_short_flood_when_the_program_ends_by_itself_then_it_still_counts_as_cut(
    sandbox: Sandbox, standing: Host
) -> None:
    outcome = await limited(sandbox, standing, "print('x' * 70000)")
    assert outcome.ended is Ended.OUTPUT_LIMIT
    assert outcome.usage.wall_seconds > 0


async def test_given_sixteen_commands_at_once_when_each_has_its_own_limits_then_none_disturbs_another(
    sandbox: Sandbox, standing: Host
) -> None:
    policy = Policy(worktree=standing.worktree, limits=SMALL)
    programs = ["print(1)"] * 12 + ["import time; time.sleep(9)"] * 2 + ["b = bytearray(1 << 30)"] * 2
    outcomes = await asyncio.gather(
        *(
            sandbox.run(
                Command(argv=(*PYTHON, program)),
                policy
                if "sleep" not in program
                else Policy(worktree=standing.worktree, limits=limits(wall_seconds=2)),
            )
            for program in programs
        )
    )
    ended = [outcome.ended for outcome in outcomes]
    assert [outcome.ok for outcome in outcomes[:12]] == [True] * 12, outcomes[:12]
    assert ended[12:14] == [Ended.TIMEOUT] * 2
    assert [outcome.ok for outcome in outcomes[14:]] == [False] * 2
