"""The summarize playbook: one order for each document, and a last one that draws them together."""

import fnmatch
import re

from ironclaw_co.draft_plan import CannotPlan, DraftPlan, DraftTask, Wish, output_folder

DOCUMENT_SUFFIXES = (".md", ".txt", ".rst", ".adoc")
_OWN_FOLDERS = ("outputs/", ".ironclaw/")
_WORDS = re.compile(r"\b(summar(y|ies|i[sz]e[sd]?|i[sz]ing)|overview|digest|zusammenfass)", re.IGNORECASE)
_PATH_WORD = re.compile(r"[\w.*?-]+/[\w./*?-]*")


def is_asked(wish: Wish) -> bool:
    """Tell whether the words ask for a summary."""
    return _WORDS.search(wish.objective) is not None


def documents(wish: Wish) -> list[str]:
    """Return the documents meant: those in `inputs.files`, those matching a path in the message, or all."""
    named = wish.inputs.get("files")
    if isinstance(named, list):
        return [path for path in named if isinstance(path, str)]
    candidates = [p for p in wish.files if p.endswith(DOCUMENT_SUFFIXES) and not p.startswith(_OWN_FOLDERS)]
    pattern = wish.inputs.get("pattern")
    patterns = [pattern] if isinstance(pattern, str) else _PATH_WORD.findall(wish.objective)
    meant = [path for path in candidates if any(_matches(path, p) for p in patterns)]
    return meant or ([] if isinstance(pattern, str) else candidates)


def _matches(path: str, pattern: str) -> bool:
    folder = pattern if pattern.endswith("/") else f"{pattern}/"
    return path.startswith(folder) or fnmatch.fnmatchcase(path, pattern)


def plan(wish: Wish) -> DraftPlan:
    """Return one summarize order a document and a synthesize order that depends on them all.

    Raises `CannotPlan` when the theater has no document that is meant.
    """
    paths = documents(wish)
    unknown = sorted(set(paths) - set(wish.files)) if wish.files else []
    if not paths or unknown:
        what = f"no such file on the mainline: {', '.join(unknown[:5])}" if unknown else "no document matches"
        raise CannotPlan(f"{what}; name files under inputs.files or a glob under inputs.pattern")
    folder = output_folder(wish.run_id)
    summaries = [f"{folder}/summaries/{path.removesuffix('.md')}.md" for path in paths]
    tasks = [
        DraftTask(
            type="summarize",
            title=f"Summarize {path}"[:200],
            objective=f"Summarize {path} faithfully and briefly, for this request: {wish.objective}",
            inputs={"files": [path], "output": output},
        )
        for path, output in zip(paths, summaries, strict=True)
    ]
    overview = DraftTask(
        type="synthesize",
        title=f"Overview of {len(paths)} documents",
        objective=wish.objective,
        inputs={"files": summaries, "sources": paths, "output": f"{folder}/overview.md"},
        after=tuple(range(len(paths))),
    )
    return DraftPlan(
        playbook="summarize",
        planner="playbook",
        tasks=(*tasks, overview),
        final=(len(paths),),
        how="the overview over all summaries",
    )
