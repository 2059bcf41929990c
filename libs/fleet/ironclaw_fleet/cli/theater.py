"""Theaters: `ironclaw theater add | list | log`."""

import re
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.vault import LogQuery, TheaterRequest
from ironclaw_contracts.errors import BadId
from ironclaw_contracts.ids import check_id
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, print_table, say
from ironclaw_fleet.cli.session import EXIT_USAGE, Failed, gateway

theater = App(name="theater", help="The repositories that orders work on.")


@theater.command
async def add(
    name: str,
    path: Path | None = None,
    *,
    import_files: Annotated[bool, Parameter(name=["--import-files", "--import"], negative="")] = False,
    options: Options = PLAIN,
) -> None:
    """Make a theater, or open one on a repository.

    Args:
        name: The name of the theater, or the path of a git repository, which is then named after its folder;
            a path has a slash, or is `.`.
        path: A git repository to work on in place; without it an empty one is made.
        import_files: Copy the files under PATH into a new repository instead.
    """
    if import_files and path is None:
        raise Failed("--import-files: give the PATH of the folder to copy", EXIT_USAGE)
    theater_id, path = named(name, path)
    given = str(path.absolute()) if path is not None else None
    request = TheaterRequest(
        theater_id=theater_id,
        repo_path=None if import_files else given,
        import_path=given if import_files else None,
    )
    async with gateway() as client:
        made = await client.call(api.OPEN_THEATER, request)
    print_json(made) if options.json else say(
        f"theater {made.theater_id} on {made.repo_path}, mainline {made.mainline}"
    )


def named(name: str, path: Path | None) -> tuple[str, Path | None]:
    """Return the theater's name and repository. Raises `Failed` for a name that cannot be one."""
    if path is None and ("/" in name or name in {".", "..", "~"}):
        path = Path(name).expanduser().resolve()
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.name).strip("-_")[:60]
    try:
        return check_id(name, "name"), path
    except BadId as error:
        raise Failed(f"{error.message}; or give both: ironclaw theater add NAME PATH", EXIT_USAGE) from error


@theater.command(name="list")
async def list_(*, as_of: str | None = None, options: Options = PLAIN) -> None:
    """List theaters, with their heads now or as of a ledger seq or an instant.

    Args:
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    async with gateway() as client:
        found = await client.call(api.LIST_THEATERS, query=AsOfQuery(as_of))
    if options.json:
        print_json(found)
        return
    print_table(
        ("theater", "mainline", "head", "repository"),
        [(t.theater_id, t.mainline, t.head[:10], t.repo_path) for t in found.theaters],
    )


@theater.command
async def log(
    theater_id: Identifier, *, limit: int = 30, as_of: str | None = None, options: Options = PLAIN
) -> None:
    """Show the mainline's history as a graph, from its head now or as of a ledger seq or an instant.

    Args:
        theater_id: The theater.
        limit: How many lines at most.
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    async with gateway() as client:
        found = await client.call(
            api.READ_LOG, query=LogQuery(limit=limit, as_of=as_of), theater_id=theater_id
        )
    if options.json:
        print_json(found)
        return
    for line in found.lines:
        say(line)
