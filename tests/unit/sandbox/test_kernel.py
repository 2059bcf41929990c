"""The system call filter, run by an interpreter of BPF, and the bits that Landlock is given."""

import errno
import struct

import pytest

from ironclaw_launcher import landlock, seccomp

ARCH = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}
ALLOW, KILL = 0x7FFF_0000, 0x8000_0000


def verdict(
    machine: str, call: str | int, *arguments: int, unix_sockets: bool = True, arch: int | None = None
) -> int:
    """Run the filter as the kernel does; return 0 for allowed, an errno, or -1 for killed."""
    numbers = seccomp.NUMBERS
    number = call if isinstance(call, int) else numbers[call][list(ARCH).index(machine)]
    assert number is not None
    six = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=IIQ6Q", number, ARCH[machine] if arch is None else arch, 0, *six)
    code = seccomp.program(machine, unix_sockets=unix_sockets)
    accumulator, place = 0, 0
    while True:
        operation, yes, no, value = struct.unpack_from("=HBBI", code, place * 8)
        place += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif operation in (0x15, 0x45):
            met = accumulator == value if operation == 0x15 else bool(accumulator & value)
            place += yes if met else no
        else:
            assert operation == 0x06
            return 0 if value == ALLOW else -1 if value == KILL else value & 0xFFFF


@pytest.mark.parametrize("machine", ARCH)
@pytest.mark.parametrize(
    ("call", "arguments", "expected"),
    [
        ("ptrace", (), errno.EPERM),
        ("mount", (), errno.EPERM),
        ("unshare", (0,), errno.EPERM),
        ("bpf", (), errno.EPERM),
        ("clone3", (), errno.ENOSYS),
        ("memfd_create", (), errno.ENOSYS),
        ("fallocate", (3, 1, 0, 1 << 34), errno.EOPNOTSUPP),
        ("clone", (17,), 0),
        ("clone", (0x3D0F00,), 0),  # a thread, as glibc makes it
        ("clone", (0x1000_0000 | 17,), errno.EPERM),
        ("clone", (0x4000_0000,), errno.EPERM),
        ("ioctl", (0, 0x5412), errno.EPERM),
        ("ioctl", (0, 0x5401), 0),
        ("ioctl", (0, 0xFFFF_FFFF_0000_5412), errno.EPERM),
        ("socket", (1,), 0),
        ("socket", (2,), 0),
        ("socket", (10,), 0),
        ("socket", (16,), 0),
        ("socket", (17,), errno.EAFNOSUPPORT),
        ("socket", (38,), errno.EAFNOSUPPORT),
        ("socket", (40,), errno.EAFNOSUPPORT),
        ("prlimit64", (0,), 0),
        ("prlimit64", (1,), errno.EPERM),
        ("prlimit64", (7,), 0),
        ("setpriority", (0, 0), 0),
        ("setpriority", (0, 1), errno.EPERM),
        ("setpriority", (2, 0), errno.EPERM),
        ("ioprio_set", (1, 0), 0),
        ("ioprio_set", (1, 1), errno.EPERM),
        ("ioprio_set", (3, 0), errno.EPERM),
        ("sched_setscheduler", (1,), errno.EPERM),
        ("sched_setscheduler", (5,), 0),
        ("openat2", (), errno.ENOSYS),
        ("fchmod", (3, 0o755), 0),
        ("fchmod", (3, 0o4755), errno.EPERM),
        ("fchmodat", (3, 0, 0o2755), errno.EPERM),
        ("fchmodat2", (3, 0, 0o4755), errno.EPERM),
        ("mknodat", (3, 0, 0o104755), errno.EPERM),
        ("mknodat", (3, 0, 0o100755), 0),
        ("openat", (3, 0, 0o101, 0o4755), errno.EPERM),
        ("openat", (3, 0, 0o101, 0o1755), 0),
        ("openat", (3, 0, 0, 0o4755), 0),
        ("openat", (3, 0, 0o20200001, 0o4755), errno.EPERM),
    ],
)
def test_given_a_system_call_when_the_filter_judges_it_then_it_answers_so(
    machine: str, call: str, arguments: tuple[int, ...], expected: int
) -> None:
    assert verdict(machine, call, *arguments) == expected


@pytest.mark.parametrize("machine", ARCH)
def test_given_every_refused_call_when_the_filter_judges_it_then_none_is_forgotten(machine: str) -> None:
    for name, numbers in seccomp.NUMBERS.items():
        if name not in seccomp.JUDGED and numbers[list(ARCH).index(machine)] is not None:
            assert verdict(machine, name) > 0, name


@pytest.mark.parametrize("number", [0, 1, 2, 57, 59, 60, 200, 257, 334, 444, 446, 500])
def test_given_an_ordinary_call_when_the_filter_judges_it_then_it_passes(number: int) -> None:
    assert verdict("x86_64", number) == 0


def test_given_calls_of_another_architecture_when_they_are_judged_then_they_kill_or_fail() -> None:
    assert verdict("x86_64", 1, arch=0x4000_0003) == -1
    assert verdict("x86_64", 0x4000_0000 | 41) == errno.ENOSYS


def test_given_abstract_sockets_in_reach_when_one_is_made_then_it_is_refused() -> None:
    assert verdict("x86_64", "socket", 1, unix_sockets=False) == errno.EAFNOSUPPORT
    assert verdict("x86_64", "socket", 2, unix_sockets=False) == 0


def test_given_a_machine_without_a_table_when_a_filter_is_asked_for_then_it_is_named() -> None:
    with pytest.raises(ValueError, match="riscv64"):
        seccomp.program("riscv64", unix_sockets=True)


@pytest.mark.parametrize(("abi", "size"), [(2, 8), (3, 8), (5, 8), (6, 24), (7, 24)])
def test_given_a_version_of_landlock_when_a_ruleset_is_made_then_it_names_only_what_that_knows(
    abi: int, size: int
) -> None:
    attributes = landlock.ruleset_attributes(abi)
    assert len(attributes) == size
    (handled,) = struct.unpack_from("=Q", attributes)
    assert handled.bit_length() == {2: 14, 3: 15, 5: 16, 6: 16, 7: 16}[abi]
    assert landlock.granted(landlock.WRITE, folder=True, abi=abi) & ~handled == 0


def test_given_a_file_when_a_rule_is_made_for_it_then_it_has_no_rights_of_folders() -> None:
    # read_dir, remove_*, make_* and refer: the kernel answers EINVAL when a rule for a file names one.
    assert landlock.granted(landlock.WRITE, folder=False, abi=7) & 0b11_1111_1111_1000 == 0
