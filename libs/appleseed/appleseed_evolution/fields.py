"""Members of a foreign JSON object, read one by one; each complaint names the member and the mend."""

import re
from collections.abc import Collection
from datetime import datetime
from typing import Any, TypeVar, cast

from appleseed_evolution.jsontext import JsonObject
from ironclaw_contracts.errors import BadRequest

C = TypeVar("C", bound=str)

_NUMBER = re.compile(r"\A\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*\Z", re.ASCII)
_SHOWN_MAX = 60


def shown(value: object) -> str:
    """Return a foreign value as it may stand in a message: short, on one line, ASCII."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…"


class Members:
    """The members of one object. A member that is null counts as absent. All methods raise `BadRequest`."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise BadRequest(f"{where or 'the payload'} must be a JSON object, not {shown(value)}")
        self._value = cast("JsonObject", value)
        self._where = where

    def path(self, name: str) -> str:
        """Return where a member stands in the payload."""
        return f"{self._where}.{name}" if self._where else name

    def given(self, name: str) -> Any:
        """Return a member as it came; None when it is absent."""
        return self._value.get(name)

    def text(self, name: str) -> str:
        """Return a text that must be there and not be blank."""
        found = self.optional_text(name)
        if found is None or not found.strip():
            raise BadRequest(f"{self.path(name)} is required: give a non-blank string")
        return found

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None."""
        found = self._value.get(name)
        if found is None or isinstance(found, str):
            return found
        raise BadRequest(f"{self.path(name)} must be a string, not {shown(found)}")

    def exact(self, name: str, wanted: str) -> str:
        """Return the one value that a member may have; absent is as good."""
        found = self._value.get(name)
        if found is None or found == wanted:
            return wanted
        raise BadRequest(f'{self.path(name)} must be "{wanted}", not {shown(found)}')

    def choice(self, name: str, choices: Collection[C]) -> C:
        """Return one of a closed set of texts."""
        found = self._value.get(name)
        for choice in choices:
            if found == choice:
                return choice
        problem = "is required" if found is None else f"is {shown(found)}"
        raise BadRequest(f"{self.path(name)} {problem}: give one of {', '.join(choices)}")

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; empty when absent."""
        found = self._value.get(name)
        if found is None:
            return ()
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise BadRequest(f"{self.path(name)} must be a list of strings, not {shown(found)}")
        return tuple(found)

    def object(self, name: str) -> JsonObject:
        """Return an object; empty when absent."""
        found = self._value.get(name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise BadRequest(f"{self.path(name)} must be a JSON object, not {shown(found)}")
        return cast("JsonObject", found)

    def items(self, name: str) -> list[Any]:
        """Return a list of anything; empty when absent."""
        found = self._value.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            raise BadRequest(f"{self.path(name)} must be a list, not {shown(found)}")
        return cast("list[Any]", found)

    def instant(self, name: str) -> str:
        """Return an ISO 8601 instant with its zone, as it was written; it must be there."""
        found = self._value.get(name)
        if not _is_instant(found):
            problem = "is required" if found is None else f"is {shown(found)}"
            raise BadRequest(
                f"{self.path(name)} {problem}: give an ISO 8601 instant with a zone,"
                " such as 2026-03-13T18:22:39+00:00"
            )
        return str(found)

    def optional_instant(self, name: str) -> str | None:
        """Return an instant, or None."""
        return None if self._value.get(name) is None else self.instant(name)

    def score(self, name: str) -> float:
        """Return a number from 0 to 1, which may be written as a string."""
        found = self._value.get(name)
        if isinstance(found, str) and _NUMBER.match(found):
            found = float(found)
        if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= 1:
            problem = "is required" if found is None else f"is {shown(found)}"
            raise BadRequest(f"{self.path(name)} {problem}: give a number from 0 to 1")
        return abs(float(found))  # -0.0 is 0

    def unknown(self, known: Collection[str]) -> JsonObject:
        """Return the members whose names are not known."""
        return {name: value for name, value in self._value.items() if name not in known}


def _is_instant(value: object) -> bool:
    """Tell whether a value is an ISO 8601 instant, in any of its forms: senders take a refusal as final."""
    if not isinstance(value, str) or "T" not in value:
        return False
    try:
        return datetime.fromisoformat(value.strip()).tzinfo is not None
    except ValueError:
        return False
