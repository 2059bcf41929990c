"""What promoting a proposal would change in its skill file."""

import difflib
import re

from msgspec import Struct

from appleseed_evolution.evolution.gate import changes_a_file
from appleseed_evolution.evolution.proposals import Proposal
from appleseed_evolution.jsontext import JsonObject
from appleseed_evolution.skills import SkillFile, amended

_NO_LINE_END = "\\ No newline at end of file"


class Preview(Struct, frozen=True, kw_only=True):
    """A skill file before and after, and what happens in between, in words and as a unified diff."""

    target_path: str | None = None
    current: bytes = b""
    proposed: bytes = b""
    operation_summary: str = "Nothing is changed by a command: a person carries this out."

    @property
    def diff(self) -> str:
        """The unified diff; empty when nothing changes."""
        name = self.target_path or ""
        return unified_diff(name, self.current, self.proposed)

    def to_json(self, target_id: str | None) -> JsonObject:
        """Return the preview as reports show it."""
        return {
            "target_id": target_id,
            "target_path": self.target_path,
            "current": _text(self.current) if self.target_path else None,
            "proposed": _text(self.proposed) if self.target_path else None,
            "operation_summary": self.operation_summary,
            "diff": self.diff,
        }


def preview(proposal: Proposal, file: SkillFile | None, content: bytes) -> Preview:
    """Return what a proposal does to its skill file, whose content is given; nothing when it has none."""
    if not changes_a_file(proposal) or file is None:
        return Preview()
    tags = list(proposal.changes["add_tags"])
    return Preview(
        target_path=str(file.path.resolve()),
        current=content,
        proposed=amended(
            content, add_tags=tags, description_append=str(proposal.changes["description_append"])
        ),
        operation_summary=f"Add the tags {', '.join(tags)} to {file.path.name} and extend its description.",
    )


def unified_diff(name: str, before: bytes, after: bytes) -> str:
    """Return the unified diff of two contents of one file, in the form that `patch` takes."""
    lines = difflib.unified_diff(_lines(before), _lines(after), fromfile=name, tofile=name)
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_LINE_END}\n" for line in lines)


def _lines(content: bytes) -> list[str]:
    # Not splitlines: it also splits at characters that end no line of a file.
    return [line for line in re.split(r"(?<=\n)", _text(content)) if line]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
