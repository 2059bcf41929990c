"""Verbs that take evidence in and show it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from cyclopts import Parameter
from cyclopts.validators import Number

from appleseed_evolution import intake, reporting
from appleseed_evolution.cli.arguments import (
    PLACE,
    SHOWN,
    Flag,
    Place,
    Several,
    Shown,
    pairs,
    read_payload,
)
from appleseed_evolution.cli.output import show, show_text
from appleseed_evolution.contract import to_json
from appleseed_evolution.openclaw.importing import openclaw_import as import_payload
from appleseed_evolution.pages import session_page


def route(*, task: str, metadata: Several = None, place: Place = PLACE) -> None:
    """Begin a session: name the skills for a task.

    Parameters
    ----------
    task:
        What is to be done.
    metadata:
        What to keep with the session, as key=value; several times for several.
    """
    given = pairs(metadata, "--metadata")
    with place.workspace() as workspace:
        asked = {"task": task, "metadata": given}
        show(intake.route(workspace, asked, now=datetime.now(UTC), new_id=_new_id))


def feedback(
    *,
    session_id: str,
    task: str,
    status: str,
    score: str,
    comment: str | None = None,
    step: Several = None,
    skill: Several = None,
    missing_capability: Several = None,
    metadata: Several = None,
    place: Place = PLACE,
) -> None:
    """Record an operator's own feedback.

    Parameters
    ----------
    session_id:
        The session it is about.
    task:
        What was to be done.
    status:
        success, failure, partial, cancelled or unknown.
    score:
        From 0, worst, to 1.
    comment:
        In words.
    step:
        A step that was taken, in order; several times for several.
    skill:
        The id of a skill that was selected.
    missing_capability:
        What was lacking.
    metadata:
        What to keep with it, as key=value.
    """
    given = {
        "session_id": session_id,
        "task": task,
        "status": status,
        "score": score,
        "comment": comment,
        "steps": step,
        "selected_skill_ids": skill,
        "missing_capabilities": missing_capability,
        "metadata": pairs(metadata, "--metadata"),
    }
    with place.workspace() as workspace:
        show(to_json(intake.give_feedback(workspace, given, now=datetime.now(UTC))))


def ingest(*, file: Path | None = None, place: Place = PLACE) -> None:
    """Store runtime events: one envelope or event, a list, or a batch.

    Parameters
    ----------
    file:
        The payload; standard input when it is not given.
    """
    with place.workspace() as workspace:
        show(intake.ingest(workspace, read_payload(file), now=datetime.now(UTC), new_id=_new_id))


def openclaw_import(*, file: Path | None = None, place: Place = PLACE) -> None:
    """Import an operator session artifact, or replay a handoff bundle.

    Parameters
    ----------
    file:
        The artifact or bundle; standard input when it is not given.
    """
    with place.workspace() as workspace:
        show(import_payload(workspace, read_payload(file), now=datetime.now(UTC)))


def report(
    *,
    file: Annotated[list[Path] | None, Parameter(negative="", consume_multiple=True)] = None,
    session_id: str | None = None,
    shown: Shown = SHOWN,
    place: Place = PLACE,
) -> None:
    """Build the evidence bundle of one session, from payloads or from the ledgers. Nothing is stored.

    Parameters
    ----------
    file:
        A payload; several times for several. Without one, the ledgers are read.
    session_id:
        The session, when there are several.
    """
    now = datetime.now(UTC)
    with place.workspace() as workspace:
        if file:
            payloads = [path.read_bytes() for path in file]
            document = reporting.report_payloads(
                workspace, payloads, session_id=session_id, now=now, write=shown.write_report
            )
        else:
            document = reporting.report_stored(
                workspace, session_id=session_id, now=now, write=shown.write_report
            )
        if shown.format == "markdown":
            show_text(session_page(document))
        else:
            show(document)


def inspect(
    *,
    session_id: str | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=100_000))] = 20,
    write_report: Flag = False,
    place: Place = PLACE,
) -> None:
    """Show each raw envelope beside the feedback that was projected from it.

    Parameters
    ----------
    session_id:
        Only this session.
    limit:
        How many envelopes to show, the newest.
    write_report:
        Leave the audit under `reports/` in the state directory.
    """
    with place.workspace() as workspace:
        show(reporting.inspect(workspace, session_id=session_id, limit=limit, write=write_report))


def _new_id() -> str:
    return str(uuid4())
