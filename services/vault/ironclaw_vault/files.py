"""Read a theater's files and history."""

import ironclaw_git
from ironclaw_contracts.endpoints import vault as api
from ironclaw_contracts.errors import BadRequest, NotFound, TooLarge
from ironclaw_vault.theaters import Theaters

_FILE_BYTES_MAX = 8 * 1024 * 1024
_DIFF_BYTES_MAX = 512 * 1024
_PATHS_MAX = 500


class Files:
    """Reads commits, never worktrees."""

    def __init__(self, theaters: Theaters) -> None:
        self._theaters = theaters

    async def listed(self, theater_id: str, query: api.FilesQuery) -> api.TheaterFiles:
        """Return the files of a commit. Raises `NotFound` for a commit that the theater does not have."""
        repository = await self._theaters.repository(theater_id)
        commit = query.commit or await repository.mainline_head()
        try:
            entries = await repository.list_files(commit, query.pattern, query.limit + 1)
        except ironclaw_git.UnknownObject as error:
            raise NotFound(str(error)) from error
        files = [api.TheaterFile(entry.path, entry.size) for entry in entries[: query.limit]]
        return api.TheaterFiles(commit=commit, files=files, truncated=len(entries) > query.limit)

    async def read(self, theater_id: str, query: api.FileQuery) -> bytes:
        """Return the bytes of a file. Raises `NotFound`, `TooLarge`, `BadRequest` for an unsafe path."""
        repository = await self._theaters.repository(theater_id)
        commit = query.commit or await repository.mainline_head()
        try:
            return await repository.read_file(commit, query.path, _FILE_BYTES_MAX)
        except ironclaw_git.UnknownObject as error:
            raise NotFound(f"{query.path}: no such file in {commit}") from error
        except ironclaw_git.UnsafePath as error:
            raise BadRequest(f"path: {error}") from error
        except ironclaw_git.OutputTooLarge as error:
            raise TooLarge(str(error)) from error

    async def log(self, theater_id: str, query: api.LogQuery) -> api.TheaterLog:
        """Return the mainline's history as a graph."""
        repository = await self._theaters.repository(theater_id)
        head = await repository.mainline_head()
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
