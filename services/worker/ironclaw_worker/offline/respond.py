"""The offline provider's answers: extracts, overviews and outlines. Never passed off as a model's."""

from collections import Counter
from typing import Literal

from msgspec import Struct

from ironclaw_worker.material import Document
from ironclaw_worker.offline.ranking import best, keywords
from ironclaw_worker.offline.sentences import Parsed, Sentence, parse, words_of

Kind = Literal["extractive-summary", "overview", "outline"]

_BULLETS_MAX = 5
_BULLETS_MIN_SENTENCES = 12
_KEYWORDS_MAX = 8
_THEMES_MAX = 6


class Reply(Struct, frozen=True):
    """The text, in Markdown, and what kind of work it is."""

    text: str
    kind: Kind


def respond(order_type: str, objective: str, documents: list[Document]) -> Reply:
    """Answer an order from its material alone: the same order gives the same bytes."""
    match order_type:
        case "summarize":
            return Reply(_summary(documents), "extractive-summary")
        case "synthesize":
            return Reply(_overview(objective, documents), "overview")
        case _:
            return Reply(_outline(objective, documents), "outline")


def _summary(documents: list[Document]) -> str:
    """Return, for each document, its weightiest sentences word for word, and its keywords."""
    parts: list[str] = []
    for document in documents:
        parsed = parse(document.text)
        name = parsed.title or document.path or "Text"
        lines = [f"# {name}", ""]
        lines += [f"- {sentence.text}" for sentence in _extract(parsed)] or ["- (no sentences to extract)"]
        terms = keywords(parsed.sentences, _KEYWORDS_MAX)
        lines += ["", f"Keywords: {', '.join(terms)}"] if terms else []
        lines += ["", f"Source: {document.path}"] if document.path else []
        parts.append("\n".join(lines))
    return "\n\n".join(parts) or "# Summary\n\n- (no material was given)"


def _extract(parsed: Parsed) -> list[Sentence]:
    count = _BULLETS_MAX if len(parsed.sentences) >= _BULLETS_MIN_SENTENCES else 3
    return best(parsed.sentences, count)


def _overview(objective: str, documents: list[Document]) -> str:
    """Return one line a document and the themes that run through several of them."""
    parsed = [(document, parse(document.text)) for document in documents]
    spread = Counter(word for _, p in parsed for word in {w for s in p.sentences for w in s.words})
    themes = [
        word for word, count in sorted(spread.items(), key=lambda i: (-i[1], i[0]))[:_THEMES_MAX] if count > 1
    ]
    lines = ["# Overview", "", f"Request: {' '.join(objective.split())[:300]}", ""]
    if themes:
        lines += [f"Themes that run through several documents: {', '.join(themes)}.", ""]
    lines += ["## Document by document", ""]
    for document, p in parsed:
        lead = next(iter(best(p.sentences, 1)), None)
        name = p.title or document.path or "Text"
        lines.append(f"- **{name}**: {lead.text if lead else '(no sentences to extract)'}")
    return "\n".join(lines) if documents else "# Overview\n\n- (no material was given)"


def _outline(objective: str, documents: list[Document]) -> str:
    """Return an outline of what a person or a model would write, with what the material offers for it."""
    words = " ".join(objective.split())
    terms = list(dict.fromkeys(words_of(objective)))[:_KEYWORDS_MAX]
    lines = [
        f"# Outline: {words[:120] or 'untitled'}",
        "",
        "An outline made offline, not a finished text.",
        "",
    ]
    lines += ["## Points to cover", ""]
    lines += [f"{number}. {term.capitalize()}" for number, term in enumerate(terms, start=1)] or [
        "1. (none named)"
    ]
    for document in documents:
        parsed = parse(document.text)
        extract = best(parsed.sentences, 3)
        if extract:
            lines += ["", f"## From {document.path or 'the text given'}", ""]
            lines += [f"- {sentence.text}" for sentence in extract]
    return "\n".join(lines)
