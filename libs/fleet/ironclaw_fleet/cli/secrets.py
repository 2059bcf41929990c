"""Secrets: `ironclaw secrets rotate` for this machine's fleet, `create` for one in containers."""

import secrets as randomness
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ironclaw_contracts.signing import split_secrets
from ironclaw_fleet.cli.output import say
from ironclaw_fleet.cli.session import Failed
from ironclaw_fleet.secretfile import write_private
from ironclaw_fleet.statedir import StateDirectory

secrets = App(name="secrets", help="Secrets that the fleet keeps.")


@secrets.command
def rotate(*, keep: Annotated[int, Parameter(validator=Number(gte=0, lte=10))] = 1) -> None:
    """Make a new signing secret for milestones and demand; it signs at once, older ones still verify.

    Args:
        keep: How many of the present secrets still verify; 0 when one has leaked.
    """
    path = StateDirectory.locate().signing_secrets
    try:
        present = split_secrets(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Failed(f"there is no {path}; start the fleet once: ironclaw up") from error
    kept = [randomness.token_urlsafe(32), *present[:keep]]
    write_private(path, ",".join(kept))
    say(f"{path}: a new secret signs, {len(kept) - 1} older verify; give it to your emitters")


@secrets.command
def create(folder: Path, *, postgres: str = "postgres:5432", valkey: str = "valkey:6379") -> None:
    """Make the secrets of a fleet in containers, one a file; those that are there stay as they are.

    Args:
        folder: Where they lie; only you can enter it.
        postgres: Where the containers reach PostgreSQL.
        valkey: Where they reach Valkey.
    """
    from ironclaw_fleet.containersecrets import create_container_secrets

    files = create_container_secrets(folder, postgres, valkey)
    say(f"{folder}: {len(files)} files; the operator's key is {folder / 'operator.apikey'}")
    say(
        f"a model provider's key goes into {folder / 'model.apikey'}; without one the offline provider serves"
    )
