"""The built-in gates. Pure: facts of the merged commit in, one verdict a gate out.

They judge the *merged* tree, so that what passes is what lands (DESIGN, "Vault and integration").
"""

import fnmatch
import hashlib
import time
from collections.abc import Callable

import msgspec
from msgspec import Struct

from ironclaw_contracts.artifacts import AAR_FILE, OPERATIONAL_FILES, Aar
from ironclaw_contracts.payloads import GateResult
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_integration.metrics import GATE_SECONDS, GATES

_PROTECTED = (".git", ".ironclaw")


class MergeFacts(Struct, frozen=True):
    """The merged tree as far as the gates look.

    `artifacts` maps each reported path to its bytes in the merged tree, None when it is missing. `changed`
    are the paths that the merge changes on the mainline. `leftovers` are uncommitted paths in the worktree.
    """

    aar: bytes | None
    artifacts: dict[str, bytes | None]
    changed: list[str]
    links: list[str]
    leftovers: list[str]


def run_gates(order: OrderSnapshot, facts: MergeFacts) -> list[GateResult]:
    """Run every built-in gate."""
    return [
        _result("aar_schema", lambda: _aar_schema(order, facts)),
        _result("artifacts", lambda: _artifacts(order, facts)),
        _result("clean_tree", lambda: _clean_tree(facts)),
        _result("path_policy", lambda: _path_policy(order, facts)),
    ]


def failed(results: list[GateResult]) -> list[GateResult]:
    """Return the gates that did not pass."""
    return [result for result in results if result.verdict != "passed"]


def _result(gate: str, look: Callable[[], str | None]) -> GateResult:
    started = time.perf_counter()
    fault = look()
    verdict = "failed" if fault else "passed"
    GATE_SECONDS.labels(gate).observe(time.perf_counter() - started)
    GATES.labels(gate, verdict).inc()
    return GateResult(gate=gate, verdict=verdict, detail=fault or "")


def _aar_schema(order: OrderSnapshot, facts: MergeFacts) -> str | None:
    if facts.aar is None:
        return f"{AAR_FILE} is missing from the commit"
    try:
        report = msgspec.json.decode(facts.aar, type=Aar)
    except msgspec.DecodeError as error:
        return f"{AAR_FILE}: {error}"
    return None if report.order_id == order.order_id else f"{AAR_FILE} is of order {report.order_id}"


def _artifacts(order: OrderSnapshot, facts: MergeFacts) -> str | None:
    for artifact in order.artifacts:
        content = facts.artifacts.get(artifact.path)
        if content is None:
            return f"{artifact.path} is not in the merged tree"
        if artifact.sha256 is not None and hashlib.sha256(content).hexdigest() != artifact.sha256:
            return f"{artifact.path} is not what was reported: its hash differs"
    return None


def _clean_tree(facts: MergeFacts) -> str | None:
    return f"uncommitted in the worktree: {', '.join(facts.leftovers[:5])}" if facts.leftovers else None


def _path_policy(order: OrderSnapshot, facts: MergeFacts) -> str | None:
    allowlist = order.order.constraints.tool_policy.fs_allowlist
    for path in facts.changed:
        parts = {part.lower() for part in path.split("/")}
        if parts & set(_PROTECTED):
            return f"{path} is protected"
        if path in OPERATIONAL_FILES:
            return f"{path} belongs to the worktree, not to the mainline"
        if not any(_allows(entry, path) for entry in allowlist):
            return f"{path} is not under fs_allowlist {allowlist}"
    return f"{facts.links[0]} is a link that leads outside" if facts.links else None


def _allows(entry: str, path: str) -> bool:
    """Tell whether an allow-list entry (`./`, `src/`, `src/*.py`) covers a path."""
    plain = entry.removeprefix("./")
    if plain in {"", "*", "."}:
        return True
    return path == plain or path.startswith(plain.rstrip("/") + "/") or fnmatch.fnmatchcase(path, plain)
