"""Text taken apart: headings and sentences of Markdown or plain text. Pure and bounded."""

import re
from importlib.resources import files

from msgspec import Struct

TEXT_LENGTH_MAX = 400_000
SENTENCE_LENGTH_MAX = 600
SENTENCES_MAX = 400

_WORD = re.compile(r"[^\W\d_][\w'-]*", re.UNICODE)
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.MULTILINE | re.DOTALL)
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_END = re.compile(r"(?<=[.!?…。！？])[\"'”’)\]]*\s+(?=[^\s\da-z])")
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|cf|vs|Dr|Mr|Mrs|Ms|St|No|approx|z\.B|d\.h|bzw|ca)\.|\b[A-Z]\.)$"
)
_BULLET = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")
_STOP_WORDS = frozenset(
    (files("ironclaw_worker.offline") / "stopwords.txt").read_text(encoding="utf-8").split()
)


class Sentence(Struct, frozen=True):
    """A sentence as it stands in the source, and the words that carry its meaning."""

    text: str
    words: frozenset[str]
    position: int


class Parsed(Struct, frozen=True):
    """A document: its first heading, and its sentences in order."""

    title: str
    sentences: list[Sentence]


def words_of(text: str) -> list[str]:
    """Return the words that carry meaning, in lower case: no stop words, three letters or more."""
    found = (word.lower() for word in _WORD.findall(text))
    return [word for word in found if len(word) > 2 and word not in _STOP_WORDS]


def parse(text: str) -> Parsed:
    """Take a document apart. Code, tables and front matter are left out; lists count as sentences."""
    body = _FRONT_MATTER.sub("", text[:TEXT_LENGTH_MAX].replace("\x00", ""))
    body = _FENCE.sub("", body)
    title = ""
    sentences: list[Sentence] = []
    for block in re.split(r"\n\s*\n", body):
        for paragraph in _paragraphs(block):
            if paragraph.startswith("#"):
                title = title or paragraph.strip("# ").strip()
                continue
            for text_ in _split(paragraph):
                words = frozenset(words_of(text_))
                if len(words) >= 3 and len(sentences) < SENTENCES_MAX:
                    sentences.append(Sentence(text_, words, len(sentences)))
    return Parsed(title=title, sentences=sentences)


def _paragraphs(block: str) -> list[str]:
    """Join the wrapped lines of a block; headings and list items stay on their own, table rows go."""
    joined: list[str] = []
    for line in block.splitlines():
        bare = line.strip()
        if not bare or bare.startswith("|"):
            continue
        begins = bare.startswith("#") or _BULLET.match(line) is not None
        if begins or not joined or joined[-1].startswith("#"):
            joined.append(_BULLET.sub("", bare))
        else:
            joined[-1] = f"{joined[-1]} {bare}"
    return joined


def _split(paragraph: str) -> list[str]:
    parts: list[str] = []
    for part in _END.split(paragraph):
        if parts and _ABBREVIATION.search(parts[-1]):
            parts[-1] = f"{parts[-1]} {part}"
        else:
            parts.append(part)
    return [part.strip() for part in parts if 0 < len(part.strip()) <= SENTENCE_LENGTH_MAX]
