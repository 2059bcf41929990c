"""A scripted OpenAI-compatible server: answers what the test says, and keeps what it was asked."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec

Script = Callable[[dict[str, Any]], tuple[int, str]]
"""From a request to a status and, for 200, the text of the completion."""


class ModelServer:
    """Serves `POST /chat/completions` on loopback while the context is open."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
                server.requests.append(request)
                server.keys.add(self.headers.get("Authorization", ""))
                status, text = server.script(request)
                answer: dict[str, Any] = {"error": {"message": text}}
                if status == 200:
                    message = {"role": "assistant", "content": text}
                    answer = {
                        "id": "x",
                        "object": "chat.completion",
                        "created": 0,
                        "model": request["model"],
                        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                        "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18},
                    }
                body = msgspec.json.encode(answer)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "ModelServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
