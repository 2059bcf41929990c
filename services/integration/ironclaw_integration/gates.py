"""The built-in gates. Pure: facts of the merged commit in, one verdict a gate out.

They judge the *merged* tree, so that what passes is what lands (DESIGN, "Vault and integration").
"""

import hashlib
from collections.abc import Callable
from fnmatch import fnmatchcase

import msgspec
from msgspec import Struct

from ironclaw_contracts.artifacts import AAR_FILE, OPERATIONAL_FILES, Aar, Claims
from ironclaw_contracts.payloads import GateResult
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import NewBlobs
from ironclaw_integration.claims import Mismatch, mismatches
from ironclaw_integration.definition import Gates
from ironclaw_integration.metrics import GATE_SECONDS, GATES
from ironclaw_integration.verdicts import COULD_NOT_RUN, FAILED, PASSED
from ironclaw_sandbox import Finding, PathRules, judge_paths
from ironclaw_sandbox.pathpolicy import PROTECTED, Change

_OWN = (*PROTECTED, ".ironclaw")
_SHOWN_MAX = 5
_UNBOUNDED = 1 << 62


class MergeFacts(Struct, frozen=True):
    """The merged tree as far as the gates look.

    `artifacts` maps each reported path to its bytes in the order's commit, None when it is missing there;
    `landed` are those paths that the merged tree has. `transcript` is the unit's, `own` the paths that its
    commits change. `changes` is what the merge changes on the mainline, `history` every file version that
    it brings along, `secrets` what was found in those. `leftovers` are uncommitted paths in the worktree.
    """

    aar: bytes | None
    artifacts: dict[str, bytes | None]
    landed: frozenset[str]
    transcript: bytes | None
    own: frozenset[str]
    changes: list[Change]
    history: NewBlobs
    secrets: list[Finding]
    leftovers: list[str]


def run_gates(order: OrderSnapshot, facts: MergeFacts, gates: Gates) -> list[GateResult]:
    """Run every built-in gate that applies."""
    results = [
        _result("aar_schema", lambda: _aar_schema(order, facts)),
        _result("artifacts", lambda: _artifacts(order, facts)),
        _result("clean_tree", lambda: _clean_tree(facts)),
        _result("path_policy", lambda: _path_policy(order, facts, gates)),
        _result("size", lambda: _size(facts, gates)),
    ]
    if gates.secrets.scan:
        results.append(_result("secret_scan", lambda: _secret_scan(facts)))
    if gates.artifacts.required:
        results.append(_result("required_artifacts", lambda: _required(order, gates)))
    with GATE_SECONDS.labels("report").time():
        results.append(report_result(mismatches(claims_of(facts.aar), facts.transcript, facts.own), gates))
    for result in results:
        GATES.labels(result.gate, result.verdict).inc()
    return results


def claims_of(aar: bytes | None) -> Claims | None:
    """Return what a report claims; None without a readable report, which is another gate's matter."""
    try:
        return msgspec.json.decode(aar, type=Aar).claims if aar is not None else None
    except msgspec.DecodeError:
        return None


def report_result(found: list[Mismatch], gates: Gates) -> GateResult:
    """Return the verdict on a report; what does not block is told all the same."""
    blocking = [one for one in found if one.kind in gates.reports.block]
    told = [*blocking, *(one for one in found if one not in blocking)][:_SHOWN_MAX]
    return GateResult(
        gate="report",
        verdict=FAILED if blocking else PASSED,
        detail="; ".join(f"{one.kind}: {one.detail}" for one in told),
        mismatches=sorted({one.kind for one in found}),
    )


def turned_down(results: list[GateResult]) -> list[GateResult]:
    """Return the gates that did not pass."""
    return [result for result in results if result.verdict != PASSED]


def holding(results: list[GateResult]) -> list[GateResult]:
    """Return the gates that could not run: they say nothing about the work, so the merge waits."""
    return [result for result in results if result.verdict == COULD_NOT_RUN]


def reason_of(results: list[GateResult]) -> str:
    """Return what gates said, as one line for people."""
    return "; ".join(f"{result.gate}: {result.detail}" for result in results)[:2000]


def _result(gate: str, look: Callable[[], str | None]) -> GateResult:
    with GATE_SECONDS.labels(gate).time():
        fault = look()
    return GateResult(gate=gate, verdict=FAILED if fault else PASSED, detail=fault or "")


def _aar_schema(order: OrderSnapshot, facts: MergeFacts) -> str | None:
    if facts.aar is None:
        return f"{AAR_FILE} is missing from the commit"
    try:
        report = msgspec.json.decode(facts.aar, type=Aar)
    except msgspec.DecodeError as error:
        return f"{AAR_FILE}: {error}"
    return None if report.order_id == order.order_id else f"{AAR_FILE} is of order {report.order_id}"


def _artifacts(order: OrderSnapshot, facts: MergeFacts) -> str | None:
    """The bytes are compared in the order's commit: a clean merge may add others' lines to the same file."""
    for artifact in order.artifacts:
        content = facts.artifacts.get(artifact.path)
        if content is None:
            return f"{artifact.path} is not in the commit"
        if artifact.sha256 is not None and hashlib.sha256(content).hexdigest() != artifact.sha256:
            return f"{artifact.path} is not what was reported: its hash differs"
        if artifact.path not in facts.landed:
            return f"{artifact.path} is not in the merged tree"
    return None


def _clean_tree(facts: MergeFacts) -> str | None:
    left = facts.leftovers
    return f"uncommitted in the worktree: {', '.join(left[:_SHOWN_MAX])}" if left else None


def _path_policy(order: OrderSnapshot, facts: MergeFacts, gates: Gates) -> str | None:
    for change in facts.changes:
        if change.path in OPERATIONAL_FILES:
            return f"{change.path} belongs to the worktree, not to the mainline"
    protected = (*_OWN, *gates.paths.protected)
    asked = order.order.constraints.tool_policy.fs_allowlist
    for allowed in (asked, gates.paths.allowed):
        rules = PathRules(
            fs_allowlist=tuple(allowed),
            protected=tuple(entry.casefold() for entry in protected),
            file_bytes_max=_UNBOUNDED,
            total_bytes_max=_UNBOUNDED,
        )
        wrong = judge_paths(facts.changes, rules)
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            return f"{wrong[0].path} {wrong[0].reason}{more}"
    return None


def _size(facts: MergeFacts, gates: Gates) -> str | None:
    limits = gates.size
    sized = [*((c.path, c.bytes) for c in facts.changes), *facts.history.larger]
    large = next(((path, size) for path, size in sized if size > limits.file_bytes_max), None)
    if large is not None:
        return f"{large[0]} has {large[1]} bytes, more than size.file_bytes_max, {limits.file_bytes_max}"
    total = max(facts.history.total, sum(change.bytes for change in facts.changes))
    if total > limits.total_bytes_max:
        return f"the change has {total} bytes, more than size.total_bytes_max, {limits.total_bytes_max}"
    if len(facts.changes) > limits.files_max:
        return f"the change has {len(facts.changes)} files, more than size.files_max, {limits.files_max}"
    return None


def _secret_scan(facts: MergeFacts) -> str | None:
    if not facts.secrets:
        return None
    shown = "; ".join(
        f"{found.path}:{found.line} {found.rule} ({found.hint}, fingerprint {found.fingerprint})"
        for found in facts.secrets[:_SHOWN_MAX]
    )
    return f"{len(facts.secrets)} found: {shown}"


def _required(order: OrderSnapshot, gates: Gates) -> str | None:
    for pattern in gates.artifacts.required:
        if not any(fnmatchcase(artifact.path, pattern) for artifact in order.artifacts):
            return f"no artifact matches {pattern}"
    return None
