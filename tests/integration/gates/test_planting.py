"""Whatever a policy blocks in reports, the gate that blocks it has bad work to prove itself on."""

from typing import get_args

import pytest

from ironclaw_git import Repository
from ironclaw_integration.claims import MismatchKind
from ironclaw_integration.definition import Gates, Reports
from ironclaw_integration.planting import tried
from ironclaw_integration.theaters import Mainline
from ironclaw_integration.verdicts import FAILED
from tests.integration.gates.conftest import Work

KINDS: tuple[MismatchKind, ...] = get_args(MismatchKind)


async def plants(repository: Repository, gates: Gates) -> dict[str, str]:
    head = await repository.mainline_head()
    here = Mainline("t", repository, head, gates)
    return {plant.gate: result.verdict if result else "mute" async for plant, result in tried(here, head)}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "tests_fail_merged"])
async def test_given_one_kind_of_claim_that_is_blocked_when_bad_work_is_planted_then_every_gate_refuses_its_own(
    work: Work, kind: MismatchKind
) -> None:
    found = await plants(work.repository, Gates(reports=Reports(block=[kind])))
    assert "report" in found and set(found.values()) == {FAILED}


async def test_given_a_policy_that_blocks_no_claim_when_bad_work_is_planted_then_the_report_has_none(
    work: Work,
) -> None:
    assert "report" not in await plants(work.repository, Gates(reports=Reports(block=[])))
