"""Which ids, branches, refs and object ids are accepted, and how an order's refs are called.

Pure. Everything that reaches git's command line passes here or through `paths`; nothing that starts with
`-` does (TRUST row 13). The grammar is a subset of git-check-ref-format(1).
"""

import re
import unicodedata

from msgspec import Struct

from ironclaw_contracts.ids import ID_PATTERN
from ironclaw_git.errors import UnsafeName

ATTEMPT_MAX = 1_000_000
MESSAGE_CHARS_MAX = 262_144

_ID = re.compile(ID_PATTERN)
_SHA = re.compile(r"\A[0-9a-f]{40}\Z")
_REF_CHARS = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}\Z")
_REF_FORBIDDEN = re.compile(r"\.\.|//|/\.|/-|\.lock(?:/|\Z)|[/.]\Z|\./")
_HEADS = "refs/heads/"
_ORDER_BRANCH = re.compile(
    r"\Aorder_(?P<order>[A-Za-z0-9][A-Za-z0-9_-]{0,63})(?:\.(?P<attempt>[1-9][0-9]{0,5}))?\Z"
)
# Names that git's rev-parse takes for pseudo-refs when they stand alone.
_PSEUDO_REF = re.compile(r"\A(?:[A-Z_]*HEAD|refs|stash)\Z", re.IGNORECASE)


class Person(Struct, frozen=True):
    """Who wrote or recorded a commit."""

    name: str
    email: str


IRONCLAW = Person("IronClaw", "ironclaw@localhost")


def check_id(value: str, field: str = "id") -> str:
    """Return `value` when it is an identifier; raise `UnsafeName` naming `field` otherwise."""
    if _ID.match(value) is None:
        raise UnsafeName(
            f"{field} {value[:80]!r} is not an identifier: use letters, digits, '_' and '-',"
            " at most 64, starting with a letter or digit"
        )
    return value


def check_attempt(value: int) -> int:
    """Return `value` when it is an attempt's number, 1 to 1,000,000; raise `UnsafeName` otherwise."""
    if type(value) is not int or not 1 <= value <= ATTEMPT_MAX:
        raise UnsafeName(f"attempt {value!r} is not a number from 1 to {ATTEMPT_MAX}")
    return value


def check_sha(value: str, field: str = "commit") -> str:
    """Return `value` when it is a full object id, 40 lower-case hex digits; raise `UnsafeName` otherwise."""
    if _SHA.match(value) is None:
        raise UnsafeName(f"{field} {value[:80]!r} is not an object id: give all 40 lower-case hex digits")
    return value


def check_branch(value: str) -> str:
    """Return `value` when it is a branch's short name (`main`, `feature/x`); raise `UnsafeName` otherwise."""
    safe = (
        _REF_CHARS.match(value) is not None
        and _REF_FORBIDDEN.search(value) is None
        and _PSEUDO_REF.match(value) is None
        and not value.lower().startswith("refs/")
        # A branch named like an object id would be ambiguous wherever a revision is read.
        and _SHA.match(value.lower()) is None
    )
    if not safe:
        raise UnsafeName(
            f"branch {value[:80]!r} is not acceptable: use letters, digits and '._/+-', starting with a"
            " letter or digit, without '..', '//', a '.lock' ending or a leading 'refs/'"
        )
    return value


def check_ref(value: str) -> str:
    """Return `value` when it is a full ref or a prefix of some (`refs/heads/main`, `refs/ironclaw`)."""
    if (
        not value.startswith("refs/")
        or _REF_CHARS.match(value) is None
        or _REF_FORBIDDEN.search(value) is not None
    ):
        raise UnsafeName(f"ref {value[:80]!r} is not acceptable: give it in full, as refs/heads/main")
    return value


def check_revision(value: str) -> str:
    """Return what `value` means in full: an object id, `HEAD`, a full ref, or a branch made one.

    Revision expressions (`a..b`, `x^`, `@{1}`, `:/text`) are refused with `UnsafeName`.
    """
    if value == "HEAD" or _SHA.match(value) is not None:
        return value
    return check_ref(value) if value.startswith("refs/") else branch_ref(value)


def check_person(person: Person) -> Person:
    """Return `person` when git records it unchanged; raise `UnsafeName` otherwise."""
    for field, value in (("name", person.name), ("email", person.email)):
        crud = not value.strip(" .,:;<>\"\\'") or any(mark in value for mark in "<>\n\0")
        if crud or len(value) > 200 or any(unicodedata.category(mark) in {"Cc", "Cs"} for mark in value):
            raise UnsafeName(
                f"person's {field} {value[:80]!r} is empty, too long or has '<', '>' or controls"
            )
    return person


def check_message(message: str) -> bytes:
    """Return a commit message as git will store it; raise `UnsafeName` when it is empty or has a NUL."""
    if not message.strip() or "\0" in message or len(message) > MESSAGE_CHARS_MAX:
        raise UnsafeName("message: a commit needs one, without NUL and of at most 262,144 characters")
    return message.encode("utf-8", "replace").rstrip(b"\n") + b"\n"


def branch_ref(branch: str) -> str:
    """Return the full ref of a branch."""
    return _HEADS + check_branch(branch)


def order_branch(order_id: str, attempt: int) -> str:
    """Return the branch of an order's attempt: `order_<id>`, then `order_<id>.2` and on."""
    name = f"order_{check_id(order_id, 'order_id')}"
    return name if check_attempt(attempt) == 1 else f"{name}.{attempt}"


def parse_order_branch(name: str) -> tuple[str, int] | None:
    """Return the order and attempt that a branch or worktree is named for; None for another name."""
    found = _ORDER_BRANCH.match(name)
    if found is None:
        return None
    attempt = int(found["attempt"] or 1)
    return (found["order"], attempt) if order_branch(found["order"], attempt) == name else None


def salvage_ref(order_id: str, attempt: int) -> str:
    """Return the ref under which the uncommitted work of a lost attempt is kept."""
    return f"refs/ironclaw/salvage/{check_id(order_id, 'order_id')}/{check_attempt(attempt)}"


def archive_ref(order_id: str, attempt: int) -> str:
    """Return the ref under which the commits of a finished attempt are kept."""
    return f"refs/ironclaw/archive/{check_id(order_id, 'order_id')}/{check_attempt(attempt)}"
