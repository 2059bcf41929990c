"""Theaters: repositories made here, or users' own opened in place."""

import asyncio
import os
import shutil
from pathlib import Path

import msgspec
from msgspec import Struct

import ironclaw_git
from ironclaw_contracts.endpoints import vault as api
from ironclaw_contracts.errors import BadRequest, Conflict, Forbidden, NotFound
from ironclaw_git import Repository
from ironclaw_vault.places import TheaterPlaces, is_allowed, places_of

_IMPORT_FILES_MAX = 20_000
_IMPORT_BYTES_MAX = 256 * 1024 * 1024
_DEFAULT_MAINLINE = "main"


class TheaterRecord(Struct, frozen=True):
    """theater.json."""

    theater_id: str
    repo_path: str
    mainline: str
    owned: bool


class Theaters:
    """Opens theaters; repositories stay open for the life of the process, since they hold no resources."""

    def __init__(self, root: Path, allowed_roots: list[Path]) -> None:
        self.root = root
        self._allowed_roots = allowed_roots
        self._open: dict[str, tuple[TheaterRecord, Repository]] = {}
        self._lock = asyncio.Lock()

    async def open(self, request: api.TheaterRequest) -> api.Theater:
        """Make or open a theater; the same request again answers the same.

        Raises `Conflict` when the theater exists on another repository, `Forbidden` for a path outside the
        allow-list, `BadRequest` for one that holds no repository, or for wishes that exclude each other.
        """
        if (request.copy_of is None) != (request.commit is None):
            raise BadRequest("copy_of and commit go together: which theater, and which commit of it")
        if request.copy_of is not None and (request.repo_path or request.import_path):
            raise BadRequest("copy_of: a copy has no repo_path and no import_path")
        places = places_of(self.root, request.theater_id)
        async with self._lock:
            if places.record.exists():
                record, _ = await self._load(request.theater_id)
                if request.repo_path and str(_resolved(request.repo_path)) != record.repo_path:
                    raise Conflict(f"theater {request.theater_id} exists on {record.repo_path}")
            elif request.repo_path is not None:
                await self._adopt(places, request.theater_id, request.repo_path)
            else:
                await self._create(places, request)
        return await self.describe(request.theater_id)

    async def describe(self, theater_id: str, head: str | None = None) -> api.Theater:
        """Return a theater with its mainline's head, or an earlier one. Raises `NotFound`."""
        record, repository = await self._load(theater_id)
        return api.Theater(
            theater_id=record.theater_id,
            repo_path=record.repo_path,
            mainline=record.mainline,
            head=head or await repository.mainline_head(),
            owned=record.owned,
            worktrees_path=str(self.places(theater_id).worktrees),
        )

    async def listed(self, heads: dict[str, str] | None = None) -> api.Theaters:
        """Return every theater, by id; those of `heads` alone, with these, where they are given."""
        folder = self.root / "theaters"
        names = (
            sorted(f.name for f in folder.iterdir() if (f / "theater.json").exists())
            if folder.exists()
            else []
        )
        if heads is not None:
            return api.Theaters([await self.describe(n, heads[n]) for n in names if n in heads])
        return api.Theaters(theaters=[await self.describe(name) for name in names])

    async def repository(self, theater_id: str) -> Repository:
        """Return a theater's repository. Raises `NotFound`."""
        return (await self._load(theater_id))[1]

    def places(self, theater_id: str) -> TheaterPlaces:
        """Return a theater's folders."""
        return places_of(self.root, theater_id)

    async def _load(self, theater_id: str) -> tuple[TheaterRecord, Repository]:
        if theater_id not in self._open:
            path = places_of(self.root, theater_id).record
            if not path.exists():
                raise NotFound(f"there is no theater {theater_id!r}")
            record = msgspec.json.decode(path.read_bytes(), type=TheaterRecord)
            self._open[theater_id] = (record, await Repository.open(record.repo_path, record.mainline))
        return self._open[theater_id]

    async def _create(self, places: TheaterPlaces, request: api.TheaterRequest) -> None:
        source = self._allowed(request.import_path) if request.import_path is not None else None
        places.folder.mkdir(parents=True, exist_ok=True)
        origin = (await self._load(request.copy_of))[1] if request.copy_of is not None else None
        # A repository without its record is what a crash left of an earlier creation: begin again.
        await asyncio.to_thread(shutil.rmtree, places.repository, True)
        repository = await Repository.create(places.repository, _DEFAULT_MAINLINE)
        if source is not None:
            await self._import(repository, places, source)
        if origin is not None and request.commit is not None:
            try:
                await ironclaw_git.begin_at(repository, origin, request.commit)
            except ironclaw_git.GitError as error:
                raise BadRequest(f"copy_of {request.copy_of}: {error}") from error
        self._write(
            places, TheaterRecord(request.theater_id, str(places.repository), _DEFAULT_MAINLINE, owned=True)
        )

    async def _import(self, repository: Repository, places: TheaterPlaces, source: Path) -> None:
        """Make the files of a folder the theater's first content, as one commit."""
        staging = places.folder / "import"
        head = await repository.mainline_head()
        await asyncio.to_thread(shutil.rmtree, staging, True)
        await ironclaw_git.add_worktree(repository, staging, "import", head)
        await asyncio.to_thread(_copy_files, source, staging)
        commit = await ironclaw_git.commit_all(
            staging, f"Import {source.name}", ironclaw_git.IRONCLAW, repo=repository
        )
        await ironclaw_git.promote(repository, commit, head)
        await ironclaw_git.remove_worktree(repository, staging, preserved=True)
        await ironclaw_git.delete_branch(repository, "import", commit)

    async def _adopt(self, places: TheaterPlaces, theater_id: str, repo_path: str) -> None:
        path = self._allowed(repo_path)
        try:
            repository = await Repository.open(path)
        except ironclaw_git.GitError as error:
            raise BadRequest(f"repo_path: {error}") from error
        self._write(places, TheaterRecord(theater_id, str(path), repository.mainline_branch, owned=False))

    def _allowed(self, given: str) -> Path:
        path = _resolved(given)
        if not is_allowed(path, self._allowed_roots):
            raise Forbidden(
                f"{path} is not under an allowed root; start the fleet with: ironclaw up --allow FOLDER,"
                " or add it to IRONCLAW_VAULT_ALLOWED_ROOTS"
            )
        if not path.is_dir():
            raise BadRequest(f"{path} is not a folder")
        return path

    @staticmethod
    def _write(places: TheaterPlaces, record: TheaterRecord) -> None:
        places.folder.mkdir(parents=True, exist_ok=True)
        temporary = places.record.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(record))
        temporary.replace(places.record)


def _resolved(given: str) -> Path:
    return Path(given).resolve()


def _copy_files(source: Path, target: Path) -> None:
    """Copy plain files, no links and no `.git`. Raises `BadRequest` when there are too many or too much."""
    count = size = 0
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if name.lower() != ".git"]
        for name in files:
            path = Path(folder) / name
            if path.is_symlink() or not path.is_file():
                continue
            count, size = count + 1, size + path.stat().st_size
            if count > _IMPORT_FILES_MAX or size > _IMPORT_BYTES_MAX:
                raise BadRequest(f"{source} is too large to import; make it a git repository and open that")
            destination = target / path.relative_to(source)
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, destination)
