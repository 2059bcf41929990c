"""Types of arguments that several verbs take, checked before anything is asked."""

from typing import Annotated, Any

from cyclopts import Parameter

from ironclaw_contracts.errors import BadId
from ironclaw_contracts.ids import check_id


def _is_id(_: Any, value: str | None) -> None:
    if value is None:
        return
    try:
        check_id(value)
    except BadId as error:
        raise ValueError(error.message) from error


Identifier = Annotated[str, Parameter(validator=_is_id)]
