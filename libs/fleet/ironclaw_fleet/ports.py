"""Ports of this machine: free ones, and whether a service answers on one."""

import asyncio
import secrets
import socket

_ROWS, _SINGLES = (18_000, 26_000), (26_000, 30_000)  # apart: a row is free until its services have started
_TRIES = 50


class NoFreePorts(Exception):
    """There are not enough free ports in a row; the message says where they were sought."""


def free_port_row(length: int = 20) -> int:
    """Return the first of a row of free loopback ports, below those that outgoing connections take."""
    return _free(_ROWS, length)


def free_port() -> int:
    """Return a free loopback port, below those that outgoing connections take, and in nobody's row."""
    return _free(_SINGLES, 1)


def _free(span: tuple[int, int], length: int) -> int:
    low, high = span
    for _ in range(_TRIES):
        first = secrets.randbelow((high - low) // length) * length + low
        if all(is_free(port) for port in range(first, first + length)):
            return first
    raise NoFreePorts(f"no {length} free ports in a row between {low} and {high}")


def is_free(port: int) -> bool:
    """Tell whether a loopback port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def is_ready(port: int) -> bool:
    """Ask a service's GET /ready."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status
