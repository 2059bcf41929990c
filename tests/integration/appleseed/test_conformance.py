"""The published Appleseed cases against servers that are right, and one that is wrong."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.integration.appleseed.test_serve import KEY, Server
from tests.support.appleseed import make_workspace


def conformance(url: str, key: str = "") -> tuple[int, list[dict[str, Any]]]:
    env = {name: value for name, value in os.environ.items() if name != "APPLESEED_API_KEY"}
    done = subprocess.run(
        [sys.executable, "-m", "ironclaw_fleet", *("conformance", "appleseed"), "--against", url, "--json"],
        env={**env, "APPLESEED_API_KEY": key} if key else env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


@contextmanager
def careless_server() -> Iterator[str]:
    """A server that takes everything in, which is what the cases are there to find."""

    class Careless(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"status": "recorded", "ingested": 1}')

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Careless)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("key", ["", KEY])
def test_given_our_server_when_checked_then_every_case_passes(key: str, tmp_path: Path) -> None:
    make_workspace(tmp_path)
    server = Server(tmp_path, key)
    server.start()
    try:
        code, outcomes = conformance(f"http://127.0.0.1:{server.port}", key)
    finally:
        server.stop()
    assert [outcome for outcome in outcomes if outcome["fault"]] == []
    assert code == 0 and len(outcomes) == (21 if key else 17)


def test_given_a_server_that_takes_everything_when_checked_then_what_it_gets_wrong_is_named() -> None:
    with careless_server() as url:
        code, outcomes = conformance(url)
    wrong = {outcome["name"] for outcome in outcomes if outcome["fault"]}
    assert code == 1
    assert {"the same envelope again is skipped", "one bad item", "not JSON", "a task is routed"} <= wrong
    assert "an envelope is recorded" in wrong and "unknown members are tolerated" not in wrong
