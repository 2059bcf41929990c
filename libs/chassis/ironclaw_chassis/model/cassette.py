"""Record what a provider answers, or replay it without one: one JSON line a call.

A call is known by what is asked, so replaying needs no order; the same question asked again gets the next
answer that was recorded for it.
"""

import hashlib
from collections import defaultdict, deque
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from ironclaw_chassis.model.errors import ModelError
from ironclaw_chassis.model.messages import ModelRequest, Reply
from ironclaw_chassis.settings import SettingsError
from ironclaw_contracts.enums import Cause

_VARIABLE = "IRONCLAW_MODEL_CASSETTE"


class _Line(Struct, frozen=True):
    request: str
    reply: Reply


class Cassette:
    """One file of recorded answers. It holds prompts' digests and answers, never a key."""

    def __init__(self, mode: Literal["record", "replay"], path: Path) -> None:
        self.mode = mode
        self._path = path
        self._answers: defaultdict[str, deque[Reply]] = defaultdict(deque)
        if mode == "replay":
            for line in path.read_bytes().splitlines():
                recorded = msgspec.json.decode(line, type=_Line)
                self._answers[recorded.request].append(recorded.reply)

    @classmethod
    def parse(cls, setting: str) -> "Cassette | None":
        """Open what `record:PATH` or `replay:PATH` names; None for nothing. Raises `SettingsError`."""
        if not setting:
            return None
        mode, _, path = setting.partition(":")
        if mode not in ("record", "replay") or not path:
            raise SettingsError(f"{_VARIABLE}: {setting!r}: write record:PATH or replay:PATH")
        try:
            return cls(mode, Path(path))
        except OSError as error:
            raise SettingsError(f"{_VARIABLE}: {path}: {error.strerror}") from error
        except msgspec.DecodeError as error:
            raise SettingsError(f"{_VARIABLE}: {path}: {error}") from error

    def replay(self, request: ModelRequest) -> Reply:
        """Return the recorded answer. Raises `ModelError` when there is none (left)."""
        answers = self._answers[digest(request)]
        if not answers:
            raise ModelError(Cause.TASK, f"the cassette {self._path} has no answer (left) to this request")
        return answers.popleft() if len(answers) > 1 else answers[0]

    def record(self, request: ModelRequest, reply: Reply) -> None:
        """Keep an answer. Blocking, for a line."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(_Line(digest(request), reply)) + b"\n")


def digest(request: ModelRequest) -> str:
    """Return by what a request is known again: SHA-256 over its body."""
    return hashlib.sha256(msgspec.json.encode(request.wire(), order="sorted")).hexdigest()
