"""JSON Schemas of the files in a worktree and of the job on the queue, from the structs themselves."""

from typing import Literal

import msgspec

from ironclaw_contracts.artifacts import Aar, Order, WorktreeStateFile
from ironclaw_contracts.jobs import JobMessage
from ironclaw_fleet.cli.output import print_json

_KINDS = {"order": Order, "aar": Aar, "state": WorktreeStateFile, "job": JobMessage}


def schema(kind: Literal["order", "aar", "state", "job"]) -> None:
    """Print the JSON Schema of order.json, aar.json, state.json or the job message.

    Args:
        kind: Which file or message.
    """
    print_json(msgspec.json.schema(_KINDS[kind]))
