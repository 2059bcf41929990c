"""Where the launcher starts: reads its order from a socket, builds the sandbox, becomes its warden.

Run as `python -I -S -B -c CODE SOCKET`; see `ironclaw_sandbox.run`.
"""

import json
import os
import signal
import socket
import sys
from pathlib import Path

from ironclaw_launcher import namespaces, syscalls, warden
from ironclaw_launcher.order import LaunchOrder, Mount

_ORDER_BYTES_MAX = 8 * 1024 * 1024


def main() -> None:
    """Serve the one order that comes over the socket whose descriptor is the last argument."""
    channel = socket.socket(fileno=int(sys.argv[-1]))
    channel.set_inheritable(False)
    order = _receive(channel)
    if order is None:
        return
    try:
        if order["tier"] == "landlock":
            _enter(order, channel)
        _settle(order)
    except (OSError, ValueError) as problem:
        warden.answer(channel, warden.failure("setup", problem))
        return
    warden.guard(order, channel)


def _receive(channel: socket.socket) -> LaunchOrder | None:
    """Return the order, or None when the caller went away before it was whole."""
    text = bytearray()
    while not text.endswith(b"\n"):
        part = channel.recv(65_536)
        if not part or len(text) > _ORDER_BYTES_MAX:
            return None
        text += part
    order: LaunchOrder = json.loads(text)
    order["mounts"] = [Mount(*step) for step in order["mounts"]]
    return order


def _enter(order: LaunchOrder, channel: socket.socket) -> None:
    """Go on as process 1 of new namespaces; the process outside only waits for it, and dies with it."""
    namespaces.unshare_all(inner_id=order["inner_id"], network=order["network"])
    # After the change of credentials, which cancels such a wish.
    syscalls.die_with_parent(signal.SIGKILL)
    inner = os.fork()
    if inner != 0:
        channel.close()
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        _, status = os.waitpid(inner, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    namespaces.build_root(order["mounts"])
    syscalls.drop_capabilities()


def _settle(order: LaunchOrder) -> None:
    if order["tier"] == "off":
        # It must outlive a killed caller, to end what it started: no namespace ends with it.
        return
    syscalls.die_with_parent(signal.SIGKILL)
    if os.getpid() != 1:
        raise ValueError("the launcher is not process 1 of its own: nothing could be ended for certain")
    home = order["environment"].get("HOME")
    if home is not None:
        Path(home).mkdir(mode=0o700, parents=True, exist_ok=True)
