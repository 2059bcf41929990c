"""Gates prove themselves: each must refuse the bad change that its definition plants.

A gate that passes its plant cannot fail and is dead: it would let anything through, so merges halt. The plant
goes on top of a tree that the gate has just passed; a refusal of a tree that is red anyway proves nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog
from msgspec import Struct

import ironclaw_git
from ironclaw_git import Repository
from ironclaw_integration.definition import CommandGate, definition_hash
from ironclaw_integration.runner import GateRunner
from ironclaw_integration.store import Proof, ProofState, Store
from ironclaw_integration.verdicts import FAILED, PASSED

log = structlog.get_logger()


class Standing(Struct, frozen=True):
    """How a gate's proof stands now: None when there is none of this definition with these tools."""

    gate: CommandGate
    definition: str
    toolchain: str
    proof: Proof | None

    def is_due(self, now: datetime, every: timedelta) -> bool:
        """Whether the plant has to be tried (again)."""
        if self.proof is None or self.proof.state == "unproven":
            return True
        return self.proof.tried_at is None or self.proof.tried_at + every < now


class Proofs:
    """Plants bad commits and remembers how gates took them. `every_seconds` is the schedule."""

    def __init__(self, store: Store, runner: GateRunner, every_seconds: float) -> None:
        self._store = store
        self._runner = runner
        self._every = timedelta(seconds=every_seconds)

    async def standing(self, theater_id: str, gates: Sequence[CommandGate]) -> list[Standing]:
        """Return how each gate's proof stands under its present definition and tools."""
        known = await self._store.proofs(theater_id)
        found: list[Standing] = []
        for gate in gates:
            definition, tools = definition_hash(gate), await self._runner.tools(gate)
            proof = known.get(gate.name)
            current = proof is not None and (proof.definition, proof.toolchain) == (definition, tools)
            found.append(Standing(gate, definition, tools, proof if current else None))
        return found

    def is_due(self, one: Standing, now: datetime) -> bool:
        """Tell whether a gate's plant has to be tried (again)."""
        return one.is_due(now, self._every)

    async def ensure(
        self, theater_id: str, repository: Repository, commit: str, gates: Sequence[CommandGate]
    ) -> list[Proof]:
        """Prove what is due on a commit that the gates passed; return the gates that are not alive."""
        now = datetime.now(UTC)
        proofs = [
            await self.prove(theater_id, repository, commit, one)
            if one.proof is None or self.is_due(one, now)
            else one.proof
            for one in await self.standing(theater_id, gates)
        ]
        return [proof for proof in proofs if proof.state != "alive"]

    async def prove(self, theater_id: str, repository: Repository, commit: str, standing: Standing) -> Proof:
        """Plant a gate's bad change on a commit, run the gate on it, and keep how it went."""
        gate = standing.gate
        state, detail, output = await self._try(repository, commit, gate)
        proof = Proof(
            gate=gate.name,
            definition=standing.definition,
            toolchain=standing.toolchain,
            state=state,
            detail=detail,
            output=output,
            commit_sha=commit,
            tried_at=datetime.now(UTC),
        )
        await self._store.keep_proof(theater_id, proof)
        log.info("gate proof", theater_id=theater_id, gate=gate.name, state=state, detail=detail)
        return proof

    async def _try(
        self, repository: Repository, commit: str, gate: CommandGate
    ) -> tuple[ProofState, str, str | None]:
        plant = gate.planted
        content = None if plant.content is None else plant.content.encode()
        message = f"Plant what gate {gate.name} must refuse"
        try:
            planted = await ironclaw_git.commit_changed(repository, commit, {plant.path: content}, message)
            tree, before = await repository.tree_of(planted), await repository.tree_of(commit)
        except ironclaw_git.GitError as problem:
            return "unproven", f"the plant {plant.path} cannot be committed: {problem}", None
        if tree == before:
            return "dead", f"the plant {plant.path} changes nothing, so it proves nothing", None
        judged, output, _ = await self._runner.run(repository, planted, gate)
        if judged.verdict == FAILED:
            return "alive", f"it refused {plant.path}: {judged.detail}", output
        if judged.verdict == PASSED:
            return "dead", f"it passed the planted bad change {plant.path}: {judged.detail}", output
        return "unproven", f"it could not run on the planted change: {judged.detail}", output


def halt_reason(lacking: Sequence[Proof]) -> str:
    """Return why merges halt; the same for the same state of the same gates."""
    said = "; ".join(
        f"gate {proof.gate} is dead: {proof.detail}"
        if proof.state == "dead"
        else f"gate {proof.gate} is not proven: {proof.detail}"
        for proof in lacking
    )
    return f"{said}. Mend the gate or its plant in .ironclaw/gates.toml on the mainline"
