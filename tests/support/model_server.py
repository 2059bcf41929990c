"""A scripted OpenAI-compatible server: answers what the test says, streamed or whole, and keeps what it was asked."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from msgspec import Struct


class Turn(Struct, frozen=True, kw_only=True):
    """One answer. `calls` are tools with their arguments as text, so that a test can send what is no JSON.

    `usage` of None is a provider that does not count. `cut_after` ends the connection after so many chunks.
    """

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    status: int = 200
    headers: dict[str, str] = {}
    usage: tuple[int, int] | None = (11, 7)
    delay_seconds: float = 0.0
    cut_after: int | None = None
    raw: bytes | None = None


Script = Callable[[dict[str, Any]], "tuple[int, str] | Turn"]
"""From a request to a turn; a status and a text stand for one without tools."""


class ModelServer:
    """Serves `POST /chat/completions` and `GET /models` on loopback while the context is open."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.models_status = 200
        self.at_once_max = 0
        self._at_once = 0
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
                with server.counted():
                    server.requests.append(request)
                    server.keys.add(self.headers.get("Authorization", ""))
                    said = server.script(request)
                    turn = said if isinstance(said, Turn) else Turn(status=said[0], text=said[1])
                    time.sleep(turn.delay_seconds)
                    self.answer(request, turn)

            def do_GET(self) -> None:
                """Tell which models there are."""
                content = b'{"object": "list", "data": []}'
                self.send_response(server.models_status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def answer(self, request: dict[str, Any], turn: Turn) -> None:
                streamed = turn.status == 200 and request.get("stream", False)
                self.send_response(turn.status)
                self.send_header("Content-Type", "text/event-stream" if streamed else "application/json")
                for name, value in turn.headers.items():
                    self.send_header(name, value)
                if streamed:
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                    for number, line in enumerate(lines_of(request["model"], turn)):
                        if turn.cut_after is not None and number >= turn.cut_after:
                            return
                        self.wfile.write(line)
                        self.wfile.flush()
                    return
                body = turn.raw or msgspec.json.encode(whole(request["model"], turn))
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def counted(self) -> "ModelServer._Counted":
        """Count the calls that are answered at once."""
        return ModelServer._Counted(self)

    class _Counted:
        def __init__(self, server: "ModelServer") -> None:
            self._server = server

        def __enter__(self) -> None:
            with self._server._lock:
                self._server._at_once += 1
                self._server.at_once_max = max(self._server.at_once_max, self._server._at_once)

        def __exit__(self, *_: object) -> None:
            with self._server._lock:
                self._server._at_once -= 1

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "ModelServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _usage(turn: Turn) -> dict[str, int] | None:
    if turn.usage is None:
        return None
    tokens_in, tokens_out = turn.usage
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
    }


def _finish(turn: Turn) -> str:
    return "tool_calls" if turn.calls else "stop"


def whole(model: str, turn: Turn) -> dict[str, Any]:
    """Return the body of an answer that is not streamed, or of an error."""
    if turn.status != 200:
        return {"error": {"message": turn.text}}
    calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(turn.calls)
    ]
    message = {"role": "assistant", "content": turn.text} | ({"tool_calls": calls} if calls else {})
    choice = {"index": 0, "finish_reason": _finish(turn), "message": message}
    answer = {"id": "x", "object": "chat.completion", "created": 0, "model": model, "choices": [choice]}
    return answer | {"usage": _usage(turn)}


def lines_of(model: str, turn: Turn) -> Iterator[bytes]:
    """Yield the server-sent events of an answer: text and arguments in pieces, as providers send them."""
    if turn.raw is not None:
        yield turn.raw
        return

    def event(choices: list[dict[str, Any]], usage: dict[str, int] | None = None) -> bytes:
        chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": model}
        return b"data: " + msgspec.json.encode(chunk | {"choices": choices, "usage": usage}) + b"\n\n"

    def delta(part: dict[str, Any], finish: str | None = None) -> bytes:
        return event([{"index": 0, "delta": part, "finish_reason": finish}])

    yield delta({"role": "assistant", "content": ""})
    for start in range(0, len(turn.text), 12):
        yield delta({"content": turn.text[start : start + 12]})
    for number, (name, arguments) in enumerate(turn.calls):
        head = {"name": name, "arguments": ""}
        call = {"index": number, "id": f"call_{number}", "type": "function", "function": head}
        yield delta({"tool_calls": [call]})
        for start in range(0, len(arguments), 16):
            piece = {"index": number, "function": {"arguments": arguments[start : start + 16]}}
            yield delta({"tool_calls": [piece]})
    yield delta({}, _finish(turn))
    if turn.usage is not None:
        yield event([], _usage(turn))
    yield b"data: [DONE]\n\n"
