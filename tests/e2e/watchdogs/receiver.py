"""Where a sentinel sends what cannot wait."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WebhookReceiver:
    """A webhook's other end: refuses the first delivery of each message, keeps them all."""

    def __init__(self) -> None:
        self._got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                is_first = not receiver.of(headers["webhook-id"])
                receiver._got.append((headers, body))
                self.send_response(500 if is_first else 204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/alerts"

    def of(self, message_id: str) -> list[tuple[dict[str, str], bytes]]:
        """The deliveries of one message, with their headers."""
        return [one for one in self._got if one[0]["webhook-id"] == message_id]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
