"""What the command prints."""

import sys

from appleseed_evolution.jsontext import JsonObject, to_document


def show(document: JsonObject) -> None:
    """Print an answer as JSON."""
    sys.stdout.write(to_document(document))


def show_text(text: str) -> None:
    """Print a page or a line; what the terminal's encoding lacks, and control characters, as escapes."""
    visible = "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(visible.encode(encoding, "backslashreplace").decode(encoding))


def note(text: str) -> None:
    """Say on standard error what was found amiss and mended."""
    sys.stderr.write(f"appleseed: note: {ascii(text)[1:-1]}\n")
