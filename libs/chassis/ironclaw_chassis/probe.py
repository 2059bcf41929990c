"""`python -m ironclaw_chassis.probe [SERVICE]`: does the service of this container serve? For health checks.

Exit code 0 when GET /health is answered with 200, else 1. Without an argument the service is the last word of
process 1's command line, which is how the image starts it. Imports little, since it runs every few seconds in
each container: an HTTP client would be two thirds of what it costs.
"""

import os
import socket
import sys
from pathlib import Path

from ironclaw_contracts.enums import SERVICE_PORTS, Service

_ANSWER_SECONDS = 25.0
"""Longer than an overloaded machine takes: an engine that ends what answers late would only add to the load.
Its own limit may end the probe sooner."""
_LINE_BYTES_MAX = 1_000


def port_of(service: Service) -> int:
    """Return the port that the service of this environment listens on."""
    own = os.environ.get(f"IRONCLAW_{service.value.upper()}_PORT")
    base = int(os.environ.get("IRONCLAW_PORT_BASE") or SERVICE_PORTS[Service.API_GATEWAY])
    return int(own) if own else base + SERVICE_PORTS[service] - SERVICE_PORTS[Service.API_GATEWAY]


def serves(port: int) -> bool:
    """Ask for GET /health on this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            with connection.makefile("rb") as answer:
                return answer.readline(_LINE_BYTES_MAX).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    """Return the exit code of a health check."""
    words = arguments or Path("/proc/1/cmdline").read_bytes().decode().rstrip("\0").split("\0")
    return 0 if serves(port_of(Service(words[-1]))) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
