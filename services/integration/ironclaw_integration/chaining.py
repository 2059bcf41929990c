"""Merges orders one on top of the other, without moving any ref, and runs the built-in gates at each step."""

import asyncio

from msgspec import Struct

import ironclaw_git
from ironclaw_contracts.artifacts import Claims
from ironclaw_contracts.payloads import GateResult
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_git import Repository
from ironclaw_integration.evidence import gather_facts
from ironclaw_integration.gates import claims_of, run_gates, turned_down
from ironclaw_integration.runner import Tree
from ironclaw_integration.theaters import Mainline


class Candidate(Struct, frozen=True):
    """An order merged onto `onto`, which holds those before it; `results` are those of its built-in gates."""

    order: OrderSnapshot
    onto: str
    merge: Tree
    results: list[GateResult]
    claims: Claims | None


class Chain(Struct, frozen=True):
    """What became of a batch: merged candidates in order, and who could not be one.

    `deferred` conflict only with another of the batch: they are tried again on the next mainline. What git
    cannot work on is `unworkable`, with the reason; it must not keep the others waiting.
    """

    candidates: list[Candidate]
    conflicting: list[tuple[OrderSnapshot, list[str]]]
    refused: list[Candidate]
    deferred: list[OrderSnapshot]
    unworkable: list[tuple[OrderSnapshot, str]]

    @property
    def tip(self) -> Tree:
        """The merge that holds all candidates."""
        return self.candidates[-1].merge


async def build_chain(mainline: Mainline, orders: list[OrderSnapshot]) -> Chain:
    """Merge orders onto the mainline, each on top of those before that passed the built-in gates."""
    chain = Chain([], [], [], [], [])
    onto = mainline.head
    for order in orders:
        try:
            onto = await _add(chain, mainline, order, onto)
        except ironclaw_git.GitError as error:
            chain.unworkable.append((order, str(error)))
    return chain


async def _add(chain: Chain, mainline: Mainline, order: OrderSnapshot, onto: str) -> str:
    """Merge one order onto the chain and file it; return what the next one goes onto."""
    merged = await merge_order(mainline.repository, order, onto)
    if isinstance(merged, ironclaw_git.Conflict):
        if onto == mainline.head or await _conflicts(mainline, order):
            chain.conflicting.append((order, list(merged.paths)))
        else:
            chain.deferred.append(order)
        return onto
    results, claims = await judge_built_in(mainline, order, onto, merged)
    candidate = Candidate(order, onto, merged, results, claims)
    if turned_down(results):
        chain.refused.append(candidate)
        return onto
    chain.candidates.append(candidate)
    return merged.commit


async def _conflicts(mainline: Mainline, order: OrderSnapshot) -> bool:
    commit = order.commit_sha or ""
    foreseen = await ironclaw_git.foresee(mainline.repository, mainline.head, commit)
    return isinstance(foreseen, ironclaw_git.Conflict)


async def merge_order(
    repository: Repository, order: OrderSnapshot, onto: str
) -> Tree | ironclaw_git.Conflict:
    """Merge an order's commit onto another; the same merge again is the same commit."""
    message = f"Merge {order.title}\n\nOrder: {order.order_id}\nRun: {order.run_id}"
    # The time of the commit makes the merge the same one when it is made again after a crash.
    merged = await ironclaw_git.merge(
        repository, onto, order.commit_sha or "", message, ironclaw_git.IRONCLAW, when=order.created_at
    )
    return merged if isinstance(merged, ironclaw_git.Conflict) else Tree(merged.commit, merged.tree)


async def judge_built_in(
    mainline: Mainline, order: OrderSnapshot, onto: str, merged: Tree
) -> tuple[list[GateResult], Claims | None]:
    """Run the built-in gates on a merge of an order onto a commit; return what its report claims, too."""
    facts = await gather_facts(
        mainline.repository, order, order.commit_sha or "", onto, merged.commit, mainline.gates
    )
    return await asyncio.to_thread(run_gates, order, facts, mainline.gates), claims_of(facts.aar)
