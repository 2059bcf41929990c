"""A run's orders as a graph of dependencies: layers from left to right. Pure."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

NODE_WIDTH = 248
NODE_HEIGHT = 46
_GAP_X = 44
_GAP_Y = 12
_MARGIN = 6


class Node(Struct, frozen=True):
    """One order, at the upper left corner of its box, in pixels."""

    id: str
    x: int
    y: int


class Graph(Struct, frozen=True):
    """Boxes, the curves between them as SVG paths, and the size of it all in pixels."""

    nodes: list[Node]
    edges: list[str]
    width: int
    height: int


def layers(depends_on: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the ids by depth: a node stands one layer after the last that it depends on.

    Dependencies outside the mapping are left aside; so is one that would close a circle.
    """
    depth: dict[str, int] = {}
    waiting = dict(depends_on)
    while waiting:
        ready = [n for n, needs in waiting.items() if all(d in depth or d not in depends_on for d in needs)]
        for node in ready or [next(iter(waiting))]:
            known = [depth[d] for d in waiting.pop(node) if d in depth]
            depth[node] = max(known, default=-1) + 1
    found: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node in depends_on:
        found[depth[node]].append(node)
    return found


def laid_out(depends_on: Mapping[str, Sequence[str]]) -> Graph:
    """Return where each box stands, and the curves from what is needed to what needs it."""
    columns = layers(depends_on)
    tallest = max((len(column) for column in columns), default=0)
    height = tallest * (NODE_HEIGHT + _GAP_Y) - _GAP_Y
    nodes: dict[str, Node] = {}
    for number, column in enumerate(columns):
        top = (height - len(column) * (NODE_HEIGHT + _GAP_Y) + _GAP_Y) // 2
        for row, name in enumerate(column):
            x = _MARGIN + number * (NODE_WIDTH + _GAP_X)
            nodes[name] = Node(name, x, _MARGIN + top + row * (NODE_HEIGHT + _GAP_Y))
    edges = [
        _curve(nodes[need], nodes[name])
        for name, needs in depends_on.items()
        for need in needs
        if need in nodes
    ]
    width = len(columns) * (NODE_WIDTH + _GAP_X) - _GAP_X
    return Graph(list(nodes.values()), edges, max(width, 0) + 2 * _MARGIN, max(height, 0) + 2 * _MARGIN)


def _curve(start: Node, end: Node) -> str:
    x1, y1 = start.x + NODE_WIDTH, start.y + NODE_HEIGHT // 2
    x2, y2 = end.x, end.y + NODE_HEIGHT // 2
    middle = (x1 + x2) // 2
    return f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
