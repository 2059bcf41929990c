"""placeholder until the offline provider lands."""

from collections import namedtuple

Reply = namedtuple("Reply", "text kind")


def respond(order_type, objective, documents):
    lines = ["# " + objective.splitlines()[0]]
    for d in documents:
        p, t = d if isinstance(d, tuple) else (d.path, d.text)
        lines.append(f"- {p}: " + " ".join(t.split())[:200])
    return Reply("\n".join(lines), "extractive-summary")
