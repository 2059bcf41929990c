"""Kill a process at a chosen step of what it writes: at any byte, before any sync, rename or cut."""

import itertools
import os
import signal
from collections.abc import Callable
from typing import Any, NoReturn

_STEPS = ("fsync", "replace", "rename", "ftruncate", "mkdir", "unlink", "open")


def writes_of(act: Callable[[], object]) -> list[int]:
    """Return after how many steps each call of an action begins, by running it in a child process.

    The last number is that of all steps.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _run(act, _Budget(2**62), writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return [int(mark) for mark in said.split()]


def points(marks: list[int], *, more: int) -> list[int]:
    """Return where to kill: before and within each call, and at about `more` other steps, spread evenly."""
    within = [(begin + end) // 2 for begin, end in itertools.pairwise(marks) if end - begin > 1]
    others = range(0, marks[-1], max(1, marks[-1] // more)) if more else ()
    return sorted({*marks[:-1], *within, *others})


def kill_after(steps: int, act: Callable[[], object]) -> bool:
    """Run an action in a child that is killed after so many steps; tell whether it was killed."""
    child = os.fork()
    if child == 0:
        _run(act, _Budget(steps), None)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, -signal.SIGKILL}, f"the action failed by itself: {status}"
    return status == -signal.SIGKILL


class _Budget:
    """Steps that are left: each byte that is written is one, and each call that changes a file."""

    def __init__(self, steps: int) -> None:
        self._left, self._spent = steps, 0
        self._marks: list[int] = []

    def spend(self, wanted: int) -> int:
        self._marks.append(self._spent)
        granted = min(wanted, self._left)
        self._left -= granted
        self._spent += granted
        return granted

    def marks(self) -> bytes:
        return " ".join(map(str, [*self._marks, self._spent])).encode()


def _run(act: Callable[[], object], budget: _Budget, report_to: int | None) -> NoReturn:
    code = 1
    try:
        write = os.write
        _watch(budget)
        act()
        if report_to is not None:
            write(report_to, budget.marks())
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _watch(budget: _Budget) -> None:
    for name in _STEPS:
        setattr(os, name, _step(getattr(os, name), budget))
    for name in ("write", "pwrite"):
        setattr(os, name, _bytes(getattr(os, name), budget))


def _step(call: Callable[..., Any], budget: _Budget) -> Callable[..., Any]:
    def watched(*given: Any, **named: Any) -> Any:
        if not budget.spend(1):
            _die()
        return call(*given, **named)

    return watched


def _bytes(call: Callable[..., int], budget: _Budget) -> Callable[..., int]:
    def watched(descriptor: int, content: bytes, *rest: int) -> int:
        granted = budget.spend(len(content))
        if granted < len(content):
            call(descriptor, bytes(content[:granted]), *rest)
            _die()
        return call(descriptor, content, *rest)

    return watched


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("a killed process went on")
