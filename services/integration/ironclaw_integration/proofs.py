"""Gates prove themselves: each must refuse the bad change that its definition plants.

A gate that passes its plant cannot fail and is dead: it would let anything through, so merges halt. The plant
goes on top of a tree that the gate has just passed; a refusal of a tree that is red anyway proves nothing.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from msgspec import Struct

import ironclaw_git
from ironclaw_contracts.payloads import GateResult
from ironclaw_git import Repository
from ironclaw_integration.definition import CommandGate, Gates, definition_hash, policy_hash
from ironclaw_integration.planting import bad_work, tried
from ironclaw_integration.runner import GateRunner
from ironclaw_integration.store import Proof, ProofState, Store
from ironclaw_integration.theaters import Mainline
from ironclaw_integration.verdicts import FAILED, PASSED

log = structlog.get_logger()


BUILT_IN_TOOLS = "built-in"


class Standing(Struct, frozen=True):
    """How a gate's proof stands now: None when there is none of this definition with these tools."""

    gate: str
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
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def standing(self, theater_id: str, gates: Gates) -> list[Standing]:
        """Return how each gate's proof stands under its present definition and tools, built-in ones first."""
        known = await self._store.proofs(theater_id)
        names = [(plant.gate, policy_hash(gates), BUILT_IN_TOOLS) for plant in bad_work(gates)]
        names += [(gate.name, definition_hash(gate), await self._runner.tools(gate)) for gate in gates.gate]
        found: list[Standing] = []
        for name, definition, tools in names:
            proof = known.get(name)
            current = proof is not None and (proof.definition, proof.toolchain) == (definition, tools)
            found.append(Standing(name, definition, tools, proof if current else None))
        return found

    def is_due(self, one: Standing, now: datetime) -> bool:
        """Tell whether a gate's plant has to be tried (again)."""
        return one.is_due(now, self._every)

    async def ensure(self, mainline: Mainline, commit: str) -> list[Proof]:
        """Prove what is due on a commit that all gates passed; return the gates that are not alive."""
        now = datetime.now(UTC)
        standing = await self.standing(mainline.theater_id, mainline.gates)
        due = {one.gate: one for one in standing if self.is_due(one, now)}
        fresh = await self.prove(mainline, commit, due) if due else []
        kept = [one.proof for one in standing if one.proof is not None and one.gate not in due]
        return [proof for proof in [*kept, *fresh] if proof.state != "alive"]

    async def prove(self, mainline: Mainline, commit: str, wanted: Mapping[str, Standing]) -> list[Proof]:
        """Plant bad changes on a commit, see whether the wanted gates refuse them, and keep how it went.

        One at a time in a theater: what was tried since `wanted` was looked up is not tried again.
        """
        async with self._locks[mainline.theater_id]:
            standing = await self.standing(mainline.theater_id, mainline.gates)
            tried_since = [
                one.proof
                for one in standing
                if one.proof is not None and one.gate in wanted and one.proof != wanted[one.gate].proof
            ]
            known = {proof.gate for proof in tried_since}
            left = {gate: one for gate, one in wanted.items() if gate not in known}
            return [*tried_since, *await self._prove(mainline, commit, left)]

    async def _prove(self, mainline: Mainline, commit: str, wanted: Mapping[str, Standing]) -> list[Proof]:
        tries: list[tuple[Standing, tuple[ProofState, str, str | None]]] = []
        if any(one.toolchain == BUILT_IN_TOOLS for one in wanted.values()):
            async for plant, result in tried(mainline, commit):
                if plant.gate in wanted:
                    tries.append((wanted[plant.gate], (*_built_in(result), None)))
        for gate in mainline.gates.gate:
            if gate.name in wanted:
                tries.append((wanted[gate.name], await self._try(mainline.repository, commit, gate)))
        return [await self._keep(mainline.theater_id, commit, one, outcome) for one, outcome in tries]

    async def _keep(
        self,
        theater_id: str,
        commit: str,
        one: Standing,
        outcome: tuple[ProofState, str, str | None],
    ) -> Proof:
        state, detail, output = outcome
        proof = Proof(
            gate=one.gate,
            definition=one.definition,
            toolchain=one.toolchain,
            state=state,
            detail=detail,
            output=output,
            commit_sha=commit,
            tried_at=datetime.now(UTC),
        )
        await self._store.keep_proof(theater_id, proof)
        log.info("gate proof", theater_id=theater_id, gate=one.gate, state=state, detail=detail)
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


def _built_in(result: GateResult | None) -> tuple[ProofState, str]:
    if result is None:
        return "unproven", "the planted bad work did not reach it"
    if result.verdict == FAILED:
        return "alive", f"it refused the planted bad work: {result.detail}"
    return "dead", "it passed the planted bad work"


def halt_reason(lacking: Sequence[Proof]) -> str:
    """Return why merges halt; the same for the same state of the same gates."""
    said = "; ".join(
        f"gate {proof.gate} is dead: {proof.detail}"
        if proof.state == "dead"
        else f"gate {proof.gate} is not proven: {proof.detail}"
        for proof in lacking
    )
    return f"{said}. Mend the gate or its plant in .ironclaw/gates.toml on the mainline"
