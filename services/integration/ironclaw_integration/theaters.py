"""Theaters as integration sees them: the repository, and the gates that its mainline asks for."""

from pathlib import Path

from msgspec import Struct

import ironclaw_git
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoints import vault
from ironclaw_git import Repository
from ironclaw_integration.definition import GATES_FILE, MIB, BadGates, Gates, parse_gates

_GATES_BYTES_MAX = MIB


class Mainline(Struct, frozen=True):
    """Where a theater's mainline stands, and the gates that it asks for there."""

    theater_id: str
    repository: Repository
    head: str
    gates: Gates


class Theaters:
    """Opens repositories once: where one lies and which branch is its mainline never change."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client
        self._repositories: dict[str, Repository] = {}
        self._read: dict[str, tuple[str, Gates]] = {}

    async def repository(self, theater_id: str) -> Repository:
        """Return a theater's repository. Raises `NotFound`."""
        if theater_id not in self._repositories:
            theater = await self._client.call(vault.GET_THEATER, theater_id=theater_id)
            self._repositories[theater_id] = await Repository.open(Path(theater.repo_path), theater.mainline)
        return self._repositories[theater_id]

    async def mainline(self, theater_id: str) -> Mainline:
        """Return the mainline with its gates. Raises `BadGates` when gates.toml cannot be used."""
        return await self.mainline_at(theater_id, await self.head(theater_id))

    async def head(self, theater_id: str, as_of: str | None = None) -> str:
        """Return the mainline's head, now or as of then. Raises `NotFound` when the ledger knew none then."""
        if as_of is None:
            return await (await self.repository(theater_id)).mainline_head()
        query = AsOfQuery(as_of)
        return (await self._client.call(vault.GET_THEATER, query=query, theater_id=theater_id)).head

    async def mainline_at(self, theater_id: str, head: str) -> Mainline:
        """Return the mainline as it stood at a head. Raises `BadGates` when gates.toml cannot be used."""
        repository = await self.repository(theater_id)
        known = self._read.get(theater_id)
        if known is None or known[0] != head:
            known = self._read[theater_id] = (head, await _gates(repository, head))
        return Mainline(theater_id, repository, head, known[1])


async def _gates(repository: Repository, head: str) -> Gates:
    try:
        return parse_gates(await repository.read_file(head, GATES_FILE, _GATES_BYTES_MAX))
    except ironclaw_git.UnknownObject:
        return Gates()
    except ironclaw_git.GitError as problem:
        raise BadGates(f"{GATES_FILE}: {problem}") from problem
