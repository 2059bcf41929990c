"""Reports as Markdown, for people."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from appleseed_evolution.jsontext import JsonObject

_NONE = "none"
_MARKUP = re.compile(r"[\\`\[\]]")


def session_page(report: JsonObject) -> str:
    """Return the evidence bundle of a session as a page."""
    outcome, handoff = report["raw_session_outcome"], report["operator_handoff"]
    return _page(
        f"Session {_plain(report['session_id'])}",
        _facts(
            {
                "Task": report["task"],
                "Outcome": outcome["status"],
                "Score": outcome["score"],
                "Comment": outcome["comment"],
                "Skills": _listed(row["skill_id"] for row in report["selected_skills"]),
                "Missing capabilities": _listed(report["missing_capabilities"]),
                "Raw envelopes": report["evidence"]["raw_envelope_count"],
                "Projected feedback": report["evidence"]["projected_feedback_count"],
            }
        ),
        _section(
            "Handoff",
            _facts(
                {
                    "State": handoff["session_state"],
                    "Checkpoints": handoff["checkpoint_count"],
                    "Summary": handoff["summary"],
                    "Next action": handoff["next_action"],
                }
            ),
        ),
        _section(
            "Evolution signals", _bullets(_signal(row) for row in report["projected_evolution_signals"])
        ),
        _section("Promotion risks", _bullets(report["promotion_risk_notes"])),
    )


def governance_page(document: JsonObject) -> str:
    """Return the governance report, or the operator's review, as a page."""
    summary = document["summary"]
    return _page(
        "Governance",
        _facts(
            {
                "Proposals": summary["proposal_count"],
                "Ready for promotion": summary["ready_for_promotion"],
                "Operator review required": summary["manual_review_queue"],
                "Blocked": summary["blocked"],
                "Report": document["report_path"],
            }
        ),
        *(_proposal(row) for row in document["proposals"]),
    )


def promotion_page(artifact: JsonObject) -> str:
    """Return a promotion artifact as a page."""
    return _page(
        "Promotion, tried only" if artifact["dry_run"] else "Promotion",
        _facts(
            {
                "Source report": artifact["source_report"],
                "Selected": artifact["summary"]["selected_proposals"],
                "Applied": artifact["summary"]["applied_proposals"],
                "Skipped": artifact["summary"]["skipped_proposals"],
            }
        ),
        *(
            _section(str(row["proposal_id"]), f"{_plain(row['operation_summary'])}\n\n{_diff(row['diff'])}")
            for row in artifact["selected_proposals"]
        ),
        _section(
            "Skipped",
            _bullets(f"{row['proposal_id']}: {row['skip_reason']}" for row in artifact["skipped_proposals"]),
        ),
    )


def resume_page(document: JsonObject) -> str:
    """Return where the operator stands as a page."""
    return _page(
        f"Workflow {_plain(document['workflow_id'])}",
        _facts(
            {
                "Stage": document["stage"],
                "Updated": document["updated_at"],
                "Selected": _listed(document["selected_proposal_ids"]),
                "Recoverable": "yes" if document["recoverable"] else "no",
                "Next action": document["next_action"],
                "Notes": _listed(document["notes"]),
            }
        ),
        _section("Commands", _code("\n".join(document["resume_commands"].values()), "sh")),
    )


def _proposal(row: JsonObject) -> str:
    facts = _facts(
        {
            "Title": row["title"],
            "Status": row["status"],
            "Readiness": row["readiness"],
            "Risk": row["risk_level"],
            "Sessions": row["evidence_count"],
            "Confidence": row["confidence"],
            "Rationale": row["rationale"],
            "Rollback": row["rollback_context"]["strategy"],
            **({"Labels": _listed(row["review_labels"])} if "review_labels" in row else {}),
        }
    )
    parts = [facts, _bullets([*row["reasons"], *row["operator_actions"]])]
    if row.get("promotion_command"):
        parts.append(_code(row["promotion_command"], "sh"))
    if row.get("change_preview", {}).get("diff"):
        parts.append(_diff(row["change_preview"]["diff"]))
    return _section(str(row["proposal_id"]), "\n\n".join(parts))


def _signal(row: JsonObject) -> str:
    return (
        f"{row['title']}: {row['evaluation_status']}, {row['promotion_readiness']}, risk {row['risk_level']}"
    )


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *parts]) + "\n"


def _section(title: str, text: str) -> str:
    return f"## {_plain(title)}\n\n{text}"


def _facts(facts: dict[str, Any]) -> str:
    return "\n".join(
        f"- {name}: {_NONE if value is None else _plain(value)}" for name, value in facts.items()
    )


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(item)}" for item in items) or _NONE


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items) or _NONE


def _diff(text: str) -> str:
    return _code(text.rstrip("\n"), "diff")


def _code(text: str, language: str) -> str:
    """Return a fenced block; the fence is longer than any in the text, so that no text can end it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"


def _plain(value: object) -> str:
    """Return a value on one line without control characters, HTML, links or code: texts come from senders."""
    text = " ".join(str(value).split())
    text = "".join(c if unicodedata.category(c) not in {"Cc", "Cf", "Cs"} else "�" for c in text)
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return _MARKUP.sub(r"\\\g<0>", text)
