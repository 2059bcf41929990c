"""One case of a conformance suite, and what became of it."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from msgspec import Struct, field


class Case(Struct, frozen=True):
    """A request to send, and what its answer has to be.

    `expect` are members of the answer's body, inner ones as `outer.inner`; `check` finds further faults.
    """

    name: str
    path: str
    body: bytes
    headers: Mapping[str, str]
    status: int
    expect: Mapping[str, Any] = field(default_factory=dict[str, Any])
    same_as: str | None = None
    """Another case, whose answer this one's has to equal byte for byte."""
    check: Callable[[bytes], str | None] | None = None


class Outcome(Struct, frozen=True):
    """`fault` is None when the case passed."""

    name: str
    fault: str | None


def judge(case: Case, status: int, body: bytes, earlier: Mapping[str, bytes]) -> Outcome:
    """Compare an answer with what it has to be. Pure."""
    import msgspec

    if status != case.status:
        return Outcome(case.name, f"answered {status}, not {case.status}: {body[:200]!r}")
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return Outcome(case.name, f"the body is no JSON object: {body[:200]!r}")
    for member, value in case.expect.items():
        found = _member(answer, member)
        if found != value:
            return Outcome(case.name, f"{member} is {found!r}, not {value!r}")
    if case.check is not None and (fault := case.check(body)) is not None:
        return Outcome(case.name, fault)
    if case.same_as is not None and earlier.get(case.same_as) != body:
        return Outcome(case.name, f"not the same bytes as the answer to {case.same_as!r}")
    return Outcome(case.name, None)


def _member(answer: Mapping[str, Any], name: str) -> Any:
    found: Any = answer
    for step in name.split("."):
        found = cast("dict[str, Any]", found).get(step) if isinstance(found, dict) else None
    return found
