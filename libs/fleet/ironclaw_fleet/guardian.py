"""Ends what children started, when the supervisor itself is killed.

A child dies with its parent (PR_SET_PDEATHSIG), but that setting does not reach the child's own children.
So a tiny shell, in a session of its own, is told of every process group and holds a pipe from us: when the
pipe closes, because we ended in whatever way, it kills the groups that are left.
"""

import contextlib
import subprocess

_END_SECONDS = 2.0
_SCRIPT = """
trap '' INT TERM HUP QUIT
groups=
while read -r sign group; do
    kept=
    for one in $groups; do [ "$one" = "$group" ] || kept="$kept $one"; done
    groups=$kept
    [ "$sign" = + ] && groups="$groups $group"
done
for one in $groups; do kill -s KILL -- "-$one" 2>/dev/null; done
"""


class Guardian:
    """Knows the process groups that must not outlive us. It starts with the first of them."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._shell: subprocess.Popen[bytes] | None = None

    def watch(self, group: int) -> None:
        """Have a process group killed if we end before it is forgotten."""
        self._groups.add(group)
        self._tell("+", group)

    def forget(self, group: int) -> None:
        """Leave a group alone from now on: it has ended, and its number may be given to somebody else."""
        self._groups.discard(group)
        if self._shell is not None:
            self._tell("-", group)

    def close(self) -> None:
        """Let the guardian go; what is still watched is killed."""
        shell, self._shell = self._shell, None
        if shell is None:
            return
        if shell.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                shell.stdin.close()
        try:
            shell.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            shell.kill()
            shell.wait()

    def _tell(self, sign: str, group: int) -> None:
        if self._shell is not None and self._shell.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                self._write(f"{sign} {group}\n")
                return
        self.close()  # somebody killed it: another takes over with all that is known
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT],
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._write("".join(f"+ {known}\n" for known in sorted(self._groups)))

    def _write(self, text: str) -> None:
        if self._shell is not None and self._shell.stdin is not None:
            self._shell.stdin.write(text.encode())
            self._shell.stdin.flush()
