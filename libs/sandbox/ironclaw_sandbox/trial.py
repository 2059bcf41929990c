"""The program that a tier must contain before it is trusted, and the judgement of its report. Pure."""

import json
from collections.abc import Mapping

PROGRAM = """
import json, os, pathlib, socket, sys
port, secret, outside = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def attempt(what):
    try:
        what()
    except OSError as problem:
        return problem.strerror or str(problem)
    return ""
def connect():
    socket.create_connection(("127.0.0.1", port), timeout=2).close()
def others():
    seen = [name for name in os.listdir("/proc") if name.isdecimal()]
    if len(seen) <= 3:
        raise OSError(0, "only its own processes")
# Inside, that path may be scratch space: whether it reached the host is seen on the host.
attempt(lambda: pathlib.Path(outside, "escaped").write_text("x"))
print(json.dumps({
    "write in the worktree": attempt(lambda: pathlib.Path("written").write_text("x")),
    "write in .git": attempt(lambda: pathlib.Path(".git", "config").write_text("x")),
    "read a secret of the host": attempt(lambda: pathlib.Path(secret).read_text()),
    "connect to the host": attempt(connect),
    "see processes of the host": attempt(others),
    "make a user namespace": attempt(lambda: os.close(os.open("/proc/self/uid_map", os.O_WRONLY))),
    "set the host's name": attempt(lambda: socket.sethostname("escaped")),
}))
"""
_EXPECTED_TO_WORK = "write in the worktree"


def failures(stdout: bytes) -> list[str]:
    """Return what a tier did not contain, or refused without need; a garbled report is a failure too."""
    try:
        report: object = json.loads(stdout)
    except ValueError:
        return [f"the trial program said {stdout[:200]!r}"]
    if not isinstance(report, Mapping) or _EXPECTED_TO_WORK not in report:
        return [f"the trial program said {stdout[:200]!r}"]
    refused = report[_EXPECTED_TO_WORK]
    through = [
        f"let it {name}" for name, problem in report.items() if not problem and name != _EXPECTED_TO_WORK
    ]
    return [*([f"refused to {_EXPECTED_TO_WORK}: {refused}"] if refused else []), *through]
