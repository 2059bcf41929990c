"""Is a completed order what it says? Pure: facts of the commit in, verdict out."""

import hashlib

import msgspec
from msgspec import Struct

from ironclaw_contracts.artifacts import Aar, Artifact
from ironclaw_contracts.snapshots import OrderSnapshot

CHECKS = (
    "commit_present",
    "tree_clean",
    "aar_schema",
    "aar_is_the_orders",
    "artifacts_exist",
    "artifacts_match",
)


class Facts(Struct, frozen=True):
    """What stands in the repository; `artifacts` maps each reported path to its bytes, None when missing."""

    commit_present: bool
    tree_clean: bool
    dirty_paths: list[str]
    aar: bytes | None
    artifacts: dict[str, bytes | None]


class Verdict(Struct, frozen=True):
    """Every reason against the order; none means it is ready to be integrated."""

    reasons: list[str]

    @property
    def valid(self) -> bool:
        """Whether nothing speaks against the order."""
        return not self.reasons


def verdict(order: OrderSnapshot, facts: Facts) -> Verdict:
    """Judge a completed order by the facts of its commit."""
    if not facts.commit_present:
        return Verdict([f"commit {order.commit_sha} is not on the order's branch"])
    reasons: list[str] = []
    if not facts.tree_clean:
        reasons.append(f"the worktree is dirty: {', '.join(facts.dirty_paths[:5])}")
    report = _report(facts.aar, reasons)
    if report is not None:
        if report.order_id != order.order_id:
            reasons.append(f"aar.json is of order {report.order_id}")
        if report.status != "completed":
            reasons.append(f"aar.json says {report.status}")
        told = {artifact.path for artifact in order.artifacts}
        untold = sorted({artifact.path for artifact in report.artifacts} ^ told)
        if untold:
            reasons.append(f"aar.json and the ledger disagree about {', '.join(untold[:5])}")
    if order.report is not None and facts.aar is not None and _sha256(facts.aar) != order.report.sha256:
        reasons.append("aar.json is not the one that was reported")
    for artifact in order.artifacts:
        reasons.extend(_against(artifact, facts.artifacts.get(artifact.path)))
    return Verdict(reasons)


def _report(raw: bytes | None, reasons: list[str]) -> Aar | None:
    if raw is None:
        reasons.append("aar.json is missing from the commit")
        return None
    try:
        return msgspec.json.decode(raw, type=Aar)
    except msgspec.DecodeError as error:
        reasons.append(f"aar.json is not an after-action report: {error}")
        return None


def _against(artifact: Artifact, content: bytes | None) -> list[str]:
    if content is None:
        return [f"artifact {artifact.path} is missing from the commit"]
    if artifact.size is not None and artifact.size != len(content):
        return [f"artifact {artifact.path} has {len(content)} bytes, {artifact.size} were reported"]
    if artifact.sha256 is not None and artifact.sha256 != _sha256(content):
        return [f"artifact {artifact.path} does not match its reported hash"]
    return []


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
