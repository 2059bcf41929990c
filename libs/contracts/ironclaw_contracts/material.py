"""The files that an order names in its inputs: what its unit reads, and where its text goes."""

from posixpath import normpath

from msgspec import Struct

from ironclaw_contracts.artifacts import Order
from ironclaw_contracts.commands import AGENT, COMMAND
from ironclaw_contracts.errors import BadRequest

_DEFAULT_NAME = "model_output.txt"
_ANY_FILE = frozenset({COMMAND, AGENT})


def material_paths(order: Order) -> list[str]:
    """Return the files to be read. Raises `BadRequest` when `inputs` names them otherwise than in lists."""
    paths: list[str] = []
    for field in ("files", "context"):
        named = order.inputs.get(field, [])
        if not isinstance(named, list) or not all(isinstance(path, str) for path in named):
            raise BadRequest(f"inputs.{field} is not a list of paths")
        paths.extend(named)
    return paths


def output_path(order: Order) -> str:
    """Return where the order's text goes: `inputs.output`, or a folder of its own under outputs/."""
    named = order.inputs.get("output")
    return named if isinstance(named, str) and named else f"outputs/{order.order_id}/{_DEFAULT_NAME}"


class Touched(Struct, frozen=True):
    """Every file of a theater that a unit reads or writes."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]


def files_touched(order: Order) -> Touched | None:
    """Return every file of the theater that the order's unit reads or writes; None when that may be any.

    A text is written from the files that the order names. Commands and agents have the tree.
    """
    if order.type in _ANY_FILE:
        return None
    try:
        reads = tuple(map(normpath, material_paths(order)))
    except BadRequest:  # the unit says so
        return None
    return Touched(reads, (normpath(output_path(order)),))
