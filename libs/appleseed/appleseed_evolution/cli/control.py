"""Verbs of the control plane: evolve, judge, promote, roll back, and take up where one stood."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from appleseed_evolution.cli.arguments import PLACE, SHOWN, BadUsage, Flag, Place, Several, Shown
from appleseed_evolution.cli.output import show, show_text
from appleseed_evolution.evolution import evolving, promoting
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.pages import governance_page, promotion_page, resume_page
from appleseed_evolution.workspace import Workspace


def evolve(*, place: Place = PLACE) -> None:
    """Make proposals of the feedback, judge them, and begin a workflow."""
    with place.workspace() as workspace:
        show(evolving.evolve(workspace, now=datetime.now(UTC)))


def governance(*, report: Path | None = None, shown: Shown = SHOWN, place: Place = PLACE) -> None:
    """Show each proposal with its gate policy, readiness, risk and way back.

    Parameters
    ----------
    report:
        An evolution report; the latest when it is not given.
    """
    with place.workspace() as workspace:
        document = evolving.governance(workspace, report, now=datetime.now(UTC))
        _present(workspace, shown, document, governance_page, evolving.GOVERNANCE_REPORT)


def review(*, report: Path | None = None, shown: Shown = SHOWN, place: Place = PLACE) -> None:
    """Make the operator's review queue, with what each proposal would change.

    Parameters
    ----------
    report:
        An evolution report; the latest when it is not given.
    """
    with place.workspace() as workspace:
        document = evolving.review(workspace, report, now=datetime.now(UTC))
        _present(workspace, shown, document, governance_page, evolving.OPERATOR_REVIEW)


def promote(
    *,
    report: Path | None = None,
    proposal_id: Several = None,
    dry_run: Flag = False,
    resume_last: Flag = False,
    shown: Shown = SHOWN,
    place: Place = PLACE,
) -> None:
    """Apply the proposals that are ready to their skill files.

    Parameters
    ----------
    report:
        An evolution report; the latest when it is not given.
    proposal_id:
        Only this proposal; several times for several.
    dry_run:
        Only show what would change.
    resume_last:
        Apply what the last dry run selected.
    """
    if resume_last and (report or proposal_id):
        raise BadUsage("--resume-last takes report and proposals from the last dry run: leave the others out")
    now = datetime.now(UTC)
    with place.workspace() as workspace:
        if resume_last:
            document = promoting.promote_last(workspace, dry_run=dry_run, now=now)
        else:
            document = promoting.promote(workspace, report, proposal_id or [], dry_run=dry_run, now=now)
        _present(workspace, shown, document, promotion_page, promoting.PROMOTION_ARTIFACT)


def rollback(*, proposal_id: str, place: Place = PLACE) -> None:
    """Restore the skill file that a promotion changed.

    Parameters
    ----------
    proposal_id:
        The promoted proposal.
    """
    with place.workspace() as workspace:
        show(promoting.rollback(workspace, proposal_id, now=datetime.now(UTC)))


def resume(*, shown: Shown = SHOWN, place: Place = PLACE) -> None:
    """Show where the operator stands, and the commands that go on from there."""
    with place.workspace() as workspace:
        document = evolving.resume(workspace)
        _present(workspace, shown, document, resume_page, evolving.WORKFLOW_RESUME)


def _present(
    workspace: Workspace,
    shown: Shown,
    document: JsonObject,
    page: Callable[[JsonObject], str],
    name: str,
) -> None:
    """Print a report in the form asked for, and leave both forms in the state directory when asked to."""
    if shown.write_report:
        with workspace.state.locked():
            workspace.state.write_report(name, document)
            workspace.state.write_page(str(Path(name).with_suffix(".md")), page(document))
    if shown.format == "markdown":
        show_text(page(document))
    else:
        show(document)
