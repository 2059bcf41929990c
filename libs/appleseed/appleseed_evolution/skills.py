"""Skills: what they are, the words in them, and their files."""

import json
import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from appleseed_evolution.fields import Members, shown
from appleseed_evolution.jsontext import JsonObject, parse
from appleseed_evolution.state.files import sha256
from ironclaw_contracts.errors import BadRequest, Conflict

_TOKEN = re.compile(r"[a-z0-9_]+")
_STOP_WORDS = frozenset(
    ["a", "an", "and", "for", "from", "in", "of", "on", "or", "the", "this", "to", "with"]
)


class Skill(Struct, frozen=True, kw_only=True):
    """One skill of an agent, as its JSON file says."""

    id: str
    name: str
    description: str
    tags: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    instructions: tuple[str, ...] = ()
    metadata: JsonObject = {}


class SkillFile(Struct, frozen=True):
    """A skill, where its file lies, and the SHA-256 of the file."""

    skill: Skill
    path: Path
    digest: str


def tokens(text: str) -> list[str]:
    """Return the words of a text that carry meaning, in order, repeated ones too."""
    return [word for word in _TOKEN.findall(text.lower()) if word not in _STOP_WORDS]


def parse_skill(value: Any) -> Skill:
    """Return a skill. Raises `BadRequest` naming the member that is wrong."""
    members = Members(value, "")
    return Skill(
        id=members.text("id"),
        name=members.text("name"),
        description=members.optional_text("description") or "",
        tags=members.texts("tags"),
        examples=members.texts("examples"),
        instructions=members.texts("instructions"),
        metadata=members.object("metadata"),
    )


def load_skills(folder: Path) -> tuple[SkillFile, ...]:
    """Return the skills in a folder's `*.json` files, by id.

    Raises `Conflict` naming the file that holds no skill, or an id that two files have.
    """
    found: dict[str, SkillFile] = {}
    for path in sorted(folder.glob("*.json")):
        content = path.read_bytes()
        try:
            skill = parse_skill(parse(content))
        except BadRequest as error:
            raise Conflict(f"{path} holds no skill: {error.message}") from error
        if skill.id in found:
            raise Conflict(f"{path} and {found[skill.id].path} both hold skill {shown(skill.id)}: rename one")
        found[skill.id] = SkillFile(skill, path, sha256(content))
    return tuple(found[skill_id] for skill_id in sorted(found))


def amended(content: bytes, *, add_tags: list[str], description_append: str) -> bytes:
    """Return a skill file's content with tags and a sentence added; all else, unknown members too, stays.

    Raises `BadRequest` when the content holds no skill.
    """
    value = parse(content)
    skill = parse_skill(value)
    value["tags"] = [*skill.tags, *(tag for tag in add_tags if tag not in skill.tags)]
    value["description"] = f"{skill.description.rstrip()} {description_append}".strip()
    text = json.dumps(value, indent=2, ensure_ascii=content.isascii())
    return (text + "\n").encode("utf-8", "backslashreplace")
