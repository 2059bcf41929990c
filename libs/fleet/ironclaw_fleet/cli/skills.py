"""Appleseed's review queue: `ironclaw skills show | review | promote | rollback`."""

from cyclopts import App

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.learning_skills import SkillReview
from ironclaw_fleet.cli.output import PLAIN, Options, first_line, print_json, print_table, say
from ironclaw_fleet.cli.session import gateway

skills = App(name="skills", help="What Appleseed proposes for skills, and who decides about it.")


@skills.command
async def show(*, options: Options = PLAIN) -> None:
    """Show the review queue as it was last judged, with what each proposal would change."""
    async with gateway() as client:
        _print(await client.call(api.GET_SKILL_REVIEW), options)


@skills.command
async def review(*, options: Options = PLAIN) -> None:
    """Have the proposals made and judged anew from the evidence as it is now."""
    async with gateway() as client:
        _print(await client.call(api.REVIEW_SKILLS), options)


@skills.command
async def promote(proposal_id: str, *, options: Options = PLAIN) -> None:
    """Apply a proposal that is ready to its skill file; refused when the evidence says otherwise now.

    Args:
        proposal_id: The proposal.
    """
    async with gateway() as client:
        _print(await client.call(api.PROMOTE_SKILL, api.SkillWish(proposal_id)), options)


@skills.command
async def rollback(proposal_id: str, *, options: Options = PLAIN) -> None:
    """Restore the skill file that a promotion changed.

    Args:
        proposal_id: The proposal.
    """
    async with gateway() as client:
        _print(await client.call(api.ROLL_BACK_SKILL, api.SkillWish(proposal_id)), options)


def _print(found: SkillReview, options: Options) -> None:
    if options.json:
        print_json(found)
        return
    print_table(
        ("proposal", "readiness", "risk", "sessions", "confidence", "state", "title"),
        [
            (
                *(p.proposal_id, p.readiness.replace("_", " "), p.risk_level, p.evidence_count),
                *(f"{p.confidence:.2f}", "promoted" if p.promoted else "", first_line(p.title)),
            )
            for p in found.proposals
        ],
    )
    for proposal in found.proposals:
        if proposal.diff:
            say(f"\n{proposal.proposal_id}: {proposal.operation}\n{proposal.diff.rstrip()}")
    say(f"{found.stage or 'not judged yet'}; next: {found.next_action}")
