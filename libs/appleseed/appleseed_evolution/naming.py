"""Names that are derived, so that doing a thing twice names it the same: ids and file names."""

import hashlib
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

from appleseed_evolution.contract import CONTRACT_NAME
from ironclaw_contracts import canonical

_NAMESPACE = uuid5(NAMESPACE_URL, CONTRACT_NAME)
_NAME_LENGTH_MAX = 120  # of 255 bytes that a file system takes, with the prefix and a suffix
_DIGEST_LENGTH = 16


def projection_id(envelope_id: str) -> str:
    """Return the id of what an envelope projects to."""
    return str(_derived("projection", envelope_id))


def artifact_id(artifact: Any, *ordinals: str) -> str:
    """Return the id of a part that an operator artifact is adapted to."""
    return str(_derived("artifact", fingerprint(artifact), *ordinals))


def payload_part_id(digest: str, ordinal: int) -> str:
    """Return an id for a part of a payload that is not stored; `digest` is the payload's SHA-256."""
    return str(_derived("payload", digest, str(ordinal)))


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form, as lower-case hex.

    The form is ECMAScript's sorted `JSON.stringify`: unlike RFC 8785 it has one for unpaired surrogates and
    large integers, which senders may have put in; for all other reports both are the same bytes.
    """
    return hashlib.sha256(canonical.ecmascript(value)).hexdigest()


def workflow_id(report: Any) -> str:
    """Return the id of the workflow that begins with an evolution report."""
    return f"workflow-{fingerprint(report)[:12]}"


def file_name_part(session_id: str) -> str:
    """Return a session id as it may stand in a file name: percent-encoded; cut, with a digest, when long."""
    raw = session_id.encode("utf-8", "surrogatepass")
    name = quote(raw, safe="")
    if len(name) <= _NAME_LENGTH_MAX:
        return name
    digest = hashlib.sha256(raw).hexdigest()[:_DIGEST_LENGTH]
    return f"{name[: _NAME_LENGTH_MAX - _DIGEST_LENGTH - 1]}-{digest}"


def _derived(*parts: str) -> UUID:
    # uuid5 encodes its name as UTF-8, which an unpaired surrogate has not; ASCII escapes are just as unique.
    return uuid5(_NAMESPACE, ascii(parts))
