"""A gate's planted bad change is tried once, also when the queue and the schedule come to it together."""

import asyncio

import pytest

from ironclaw_integration.definition import CommandGate, Gates, Plant
from ironclaw_integration.proofs import Proofs
from ironclaw_integration.runner import GateRunner
from ironclaw_integration.store import Store
from ironclaw_integration.theaters import Mainline
from ironclaw_sandbox import Outcome, Sandbox
from tests.integration.gates.conftest import Work


async def test_given_a_new_gate_when_proven_twice_at_once_then_its_plant_is_run_once_and_both_hear_of_it(
    store: Store, runner: GateRunner, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = 0
    real = Sandbox.run

    async def counted(self: Sandbox, *given: object) -> Outcome:
        nonlocal runs
        runs += 1
        return await real(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Sandbox, "run", counted)
    check = CommandGate(name="check", run=["grep", "-q", "good", "a"], planted=Plant(path="a", content="bad"))
    tree = await work.tree({"a": "good\n"})
    here = Mainline("t", work.repository, tree.commit, Gates(gate=[check]))
    proofs = Proofs(store, runner, every_seconds=3_600)
    lacking = await asyncio.gather(*(proofs.ensure(here, tree.commit) for _ in range(3)))
    assert lacking == [[], [], []] and runs == 1
    standing = {one.gate: one for one in await proofs.standing("t", here.gates)}
    assert standing["check"].proof is not None and standing["check"].proof.state == "alive"
    again = await proofs.prove(here, tree.commit, {"check": standing["check"]})
    assert [proof.state for proof in again] == ["alive"] and runs == 2, "asked for anew, it is tried anew"
