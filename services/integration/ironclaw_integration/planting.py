"""Bad work made up on purpose, one piece for each built-in gate, which must refuse it.

The plants go the way of all work: a commit, a merge, the facts, the gates. What is proven is therefore not
the judgement alone, but that what it needs is really gathered.
"""

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

import ironclaw_git
from ironclaw_contracts.artifacts import AAR_FILE, TRANSCRIPT_FILE, Aar, Artifact, Claims, Order
from ironclaw_contracts.enums import OrderPhase, OrderStatus
from ironclaw_contracts.payloads import GateResult
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_contracts.transcript import Run, ToolCall, encode_transcript
from ironclaw_integration.chaining import merge_order
from ironclaw_integration.claims import MismatchKind
from ironclaw_integration.definition import Gates
from ironclaw_integration.evidence import gather_facts
from ironclaw_integration.gates import run_gates
from ironclaw_integration.theaters import Mainline

_ORDER = "planted"
_WHEN = datetime(2026, 1, 1, tzinfo=UTC)
_FILE = "ironclaw-planted.txt"


class BadWork(Struct, frozen=True):
    """What a gate must refuse: the files of a commit, and what its order reports as artifacts."""

    gate: str
    files: dict[str, bytes | None]
    artifacts: tuple[Artifact, ...] = ()


def bad_work(gates: Gates) -> list[BadWork]:
    """Return one piece of bad work for each built-in gate that this policy has. Pure."""
    plants = [
        BadWork("aar_schema", {AAR_FILE: b"{"}),
        BadWork(
            "artifacts",
            {AAR_FILE: _report(), _FILE: b"one thing\n"},
            (Artifact(path=_FILE, sha256=hashlib.sha256(b"another").hexdigest()),),
        ),
        BadWork("path_policy", {AAR_FILE: _report(), f".ironclaw/{_FILE}": b"planted\n"}),
        BadWork("size", {AAR_FILE: _report(), _FILE: b"0" * (gates.size.file_bytes_max + 1)}),
    ]
    if gates.secrets.scan:
        plants.append(BadWork("secret_scan", {AAR_FILE: _report(), _FILE: _secret()}))
    if gates.artifacts.required:
        plants.append(BadWork("required_artifacts", {AAR_FILE: _report()}))
    if (lie := _lie(gates.reports.block)) is not None:
        plants.append(BadWork("report", lie))
    return plants


def _lie(block: list[MismatchKind]) -> dict[str, bytes | None] | None:
    """Return a commit whose report claims what was not so, in a way that is blocked; None where none is.

    `tests_fail_merged` is not a matter of the report alone: the tests themselves refuse that work.
    """
    blocked = set(block)
    claims = Claims(commands=[["planted"]], files_changed=["not-changed.txt"], tests_passed=True)
    files: dict[str, bytes | None] = {AAR_FILE: _report(claims), _FILE: b"changed and not told\n"}
    if blocked & {"command_not_run", "file_not_changed", "file_not_told", "tests_not_run"}:
        return {**files, TRANSCRIPT_FILE: b""}
    if "tests_failed" in blocked:
        run = Run(argv=["pytest"], ended="exited", tier="", exit_code=1, stdout="1 failed in 0.1s")
        call = ToolCall(number=1, tool="run", at=_WHEN, outcome="failed", run=run)
        return {**files, TRANSCRIPT_FILE: encode_transcript([call])}
    if "transcript_broken" in blocked:
        return {**files, TRANSCRIPT_FILE: b"{"}
    return files if "transcript_missing" in blocked else None


async def tried(mainline: Mainline, commit: str) -> AsyncIterator[tuple[BadWork, GateResult | None]]:
    """Plant each piece on a commit and yield what its gate says; None when the gate did not speak."""
    repository = mainline.repository
    for plant in bad_work(mainline.gates):
        message = f"Plant what gate {plant.gate} must refuse"
        planted = await ironclaw_git.commit_changed(repository, commit, plant.files, message)
        order = _order(mainline.theater_id, planted, plant.artifacts)
        merged = await merge_order(repository, order, commit)
        if isinstance(merged, ironclaw_git.Conflict):
            yield plant, None
            continue
        facts = await gather_facts(repository, order, planted, commit, merged.commit, mainline.gates)
        results = run_gates(order, facts, mainline.gates)
        yield plant, next((result for result in results if result.gate == plant.gate), None)


def _report(claims: Claims | None = None) -> bytes:
    return msgspec.json.encode(
        Aar(
            order_id=_ORDER,
            status="completed",
            completed_at=_WHEN,
            summary="planted",
            artifacts=[],
            claims=claims,
        )
    )


def _secret() -> bytes:
    """Return what looks like an access key and is none."""
    digest = hashlib.sha256(b"a planted secret").hexdigest().upper()
    return b"key = 'AKIA" + digest[:16].encode() + b"'\n"


def _order(theater_id: str, commit: str, artifacts: tuple[Artifact, ...]) -> OrderSnapshot:
    return OrderSnapshot(
        order_id=_ORDER,
        run_id=_ORDER,
        theater_id=theater_id,
        garrison_id="local",
        title="Planted bad work",
        order=Order(
            order_id=_ORDER, run_id=_ORDER, theater_id=theater_id, type=_ORDER, objective="be refused"
        ),
        depends_on=[],
        replaces=None,
        phase=OrderPhase.READY,
        status=OrderStatus.COMPLETED,
        attempt=1,
        unit_id=None,
        worktree=None,
        commit_sha=commit,
        artifacts=list(artifacts),
        report=None,
        merge_commit=None,
        hold=None,
        recovery=None,
        history=[],
        created_at=_WHEN,
        updated_at=_WHEN,
        phase_since=_WHEN,
        phase_event_id=_ORDER,
        first_seq=0,
        last_seq=0,
    )
