"""Text that units and models made, as safe HTML: none of their markup gets through. Pure."""

from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markupsafe import Markup, escape
from msgspec import Struct

SHOWN_CHARS_MAX = 256 * 1024
_DIFF_LINES_MAX = 4_000
_LINKS = ("https://", "http://", "mailto:")
_IMAGE_TYPES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class DiffLine(Struct, frozen=True):
    """A line of a diff: `kind` is add, del, hunk, file or same."""

    kind: str
    text: str


def _renderer() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.validateLink = lambda url: url.strip().lower().startswith(_LINKS)  # type: ignore[method-assign]
    markdown.add_render_rule("image", _image)
    markdown.add_render_rule("link_open", _link)
    markdown.add_render_rule("heading_open", _heading)
    markdown.add_render_rule("heading_close", _heading)
    return markdown


def _image(_: Any, tokens: Sequence[Any], index: int, *__: Any) -> str:
    """Name an image instead of fetching it: its address would learn who reads."""
    token = tokens[index]
    return str(
        Markup('<span class="quiet">[image: {}] {}</span>').format(token.content, token.attrs.get("src", ""))
    )


def _heading(renderer: Any, tokens: Sequence[Any], index: int, options: Any, _: Any) -> str:
    """Put headings below the page's own, which are of the first and second level."""
    token = tokens[index]
    token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
    return str(renderer.renderToken(tokens, index, options, {}))


def _link(renderer: Any, tokens: Sequence[Any], index: int, options: Any, _: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    return str(renderer.renderToken(tokens, index, options, {}))


_MARKDOWN = _renderer()


def markdown(text: str) -> Markup:
    """Render Markdown; raw HTML in it is shown as text, links lead only to web and mail addresses."""
    html = _MARKDOWN.render(text[:SHOWN_CHARS_MAX])
    cut = Markup('<p class="quiet">The rest is not shown; download it.</p>')
    return Markup(html) + (cut if len(text) > SHOWN_CHARS_MAX else "")  # noqa: S704 - rendered without raw HTML


def plain(text: str) -> Markup:
    """Return a text with its line ends and spaces as they are."""
    cut = Markup('\n<span class="quiet">The rest is not shown; download it.</span>')
    return Markup('<pre tabindex="0">{}{}</pre>').format(
        escape(text[:SHOWN_CHARS_MAX]), cut if len(text) > SHOWN_CHARS_MAX else ""
    )


def image_type(content: bytes) -> str | None:
    """Return the media type of a picture that a browser may show, by its first bytes; None for anything else.

    SVG is not among them: it is a document that can hold scripts, and is shown as text.
    """
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _IMAGE_TYPES if content.startswith(magic)), None)


def diff_lines(patch: str) -> tuple[list[DiffLine], bool]:
    """Return the lines of a unified diff by kind, and whether some were left out."""
    lines = patch.split("\n")
    return [_diff_line(line) for line in lines[:_DIFF_LINES_MAX]], len(lines) > _DIFF_LINES_MAX


def _diff_line(line: str) -> DiffLine:
    if line.startswith(
        ("diff --git", "index ", "--- ", "+++ ", "new file", "deleted file", "rename ", "similarity")
    ):
        return DiffLine("file", line)
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    return DiffLine(kinds.get(line[:1], "same"), line)
