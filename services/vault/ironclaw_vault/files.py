"""Read a theater's files and history."""

import ironclaw_git
from ironclaw_contracts.endpoints import vault as api
from ironclaw_contracts.endpoints import vault_proof
from ironclaw_contracts.errors import BadRequest, NotFound, TooLarge
from ironclaw_contracts.receipts import GitObject
from ironclaw_vault.past import Past
from ironclaw_vault.theaters import Theaters

_FILE_BYTES_MAX = 8 * 1024 * 1024
_DIFF_BYTES_MAX = 512 * 1024
_PATHS_MAX = 500


class Files:
    """Reads commits, never worktrees."""

    def __init__(self, theaters: Theaters, past: Past) -> None:
        self._theaters = theaters
        self._past = past

    async def listed(self, theater_id: str, query: api.FilesQuery) -> api.TheaterFiles:
        """Return the files of a commit. Raises `NotFound` for a commit that the theater does not have."""
        repository = await self._theaters.repository(theater_id)
        commit = await self._past.commit(theater_id, repository, query.commit, query.as_of)
        try:
            entries = await repository.list_files(commit, query.pattern, query.limit + 1)
        except ironclaw_git.UnknownObject as error:
            raise NotFound(str(error)) from error
        files = [api.TheaterFile(entry.path, entry.size) for entry in entries[: query.limit]]
        return api.TheaterFiles(commit=commit, files=files, truncated=len(entries) > query.limit)

    async def read(self, theater_id: str, query: api.FileQuery) -> bytes:
        """Return the bytes of a file. Raises `NotFound`, `TooLarge`, `BadRequest` for an unsafe path."""
        repository = await self._theaters.repository(theater_id)
        commit = await self._past.commit(theater_id, repository, query.commit, query.as_of)
        try:
            return await repository.read_file(commit, query.path, _FILE_BYTES_MAX)
        except ironclaw_git.UnknownObject as error:
            raise NotFound(f"{query.path}: no such file in {commit}") from error
        except ironclaw_git.UnsafePath as error:
            raise BadRequest(f"path: {error}") from error
        except ironclaw_git.OutputTooLarge as error:
            raise TooLarge(str(error)) from error

    async def objects(self, theater_id: str, request: vault_proof.ObjectsRequest) -> vault_proof.GitObjects:
        """Return commits and what leads to files in them. Raises `NotFound`, `TooLarge`, `BadRequest`."""
        repository = await self._theaters.repository(theater_id)
        found: dict[str, GitObject] = {}
        try:
            for asked in request.commits:
                for kept in await ironclaw_git.evidence(repository, asked.commit, asked.paths, asked.files):
                    found[kept.sha] = GitObject(kept.sha, kept.kind, kept.data)
        except ironclaw_git.UnknownObject as error:
            raise NotFound(str(error)) from error
        except ironclaw_git.UnsafePath as error:
            raise BadRequest(f"paths: {error}") from error
        except ironclaw_git.OutputTooLarge as error:
            raise TooLarge(str(error)) from error
        return vault_proof.GitObjects(objects=list(found.values()))

    async def log(self, theater_id: str, query: api.LogQuery) -> api.TheaterLog:
        """Return the mainline's history as a graph."""
        repository = await self._theaters.repository(theater_id)
        head = await self._past.commit(theater_id, repository, None, query.as_of)
        lines = await repository.log(head, query.limit, graph=True)
        return api.TheaterLog(mainline=repository.mainline_branch, head=head, lines=lines)

    async def diff(self, theater_id: str, query: api.DiffQuery) -> api.Diff:
        """Return what differs between two commits. Raises `NotFound` for an unknown one."""
        repository = await self._theaters.repository(theater_id)
        base = query.base or await self._first_parent(repository, query.commit)
        try:
            changed = await repository.changed_paths(base, query.commit)
            diff = await repository.diff(base, query.commit, _DIFF_BYTES_MAX)
        except ironclaw_git.GitError as error:
            raise NotFound(f"{theater_id} has no commits {base} and {query.commit} to compare") from error
        return api.Diff(
            base=base,
            commit=query.commit,
            paths=[path.path for path in changed[:_PATHS_MAX]],
            patch=diff.patch,
            truncated=diff.truncated or len(changed) > _PATHS_MAX,
        )

    @staticmethod
    async def _first_parent(repository: ironclaw_git.Repository, commit: str) -> str:
        found = await repository.git("rev-parse", "--verify", "--quiet", f"{commit}^1", check=False)
        if found.returncode != 0:
            raise NotFound(f"{commit} is no commit with a parent in this theater")
        return found.line
