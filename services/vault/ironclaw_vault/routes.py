"""HTTP in, HTTP out."""

from pathlib import PurePosixPath

from ironclaw_chassis.routes import Call, FileAnswer, Routes
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import vault as api
from ironclaw_contracts.endpoints import vault_proof
from ironclaw_contracts.enums import Service
from ironclaw_vault.files import Files
from ironclaw_vault.past import Past
from ironclaw_vault.salvage import Salvages
from ironclaw_vault.theaters import Theaters
from ironclaw_vault.worktrees import Worktrees


def build_routes(
    theaters: Theaters, worktrees: Worktrees, files: Files, salvages: Salvages, past: Past
) -> Routes:
    """Return the vault's routes."""
    routes = Routes(Service.VAULT)

    @routes.serve(api.OPEN_THEATER)
    async def open_theater(call: Call[api.TheaterRequest, Nothing]) -> api.Theater:
        return await theaters.open(call.body)

    @routes.serve(api.LIST_THEATERS)
    async def list_theaters(call: Call[Nothing, AsOfQuery]) -> api.Theaters:
        as_of = call.query.as_of
        return await theaters.listed(await past.heads(as_of) if as_of is not None else None)

    @routes.serve(api.GET_THEATER)
    async def get_theater(call: Call[Nothing, AsOfQuery]) -> api.Theater:
        theater_id, as_of = call.path["theater_id"], call.query.as_of
        head = await past.head(theater_id, as_of) if as_of is not None else None
        return await theaters.describe(theater_id, head)

    @routes.serve(api.LIST_FILES)
    async def list_files(call: Call[Nothing, api.FilesQuery]) -> api.TheaterFiles:
        return await files.listed(call.path["theater_id"], call.query)

    @routes.file(api.READ_FILE)
    async def read_file(call: Call[Nothing, api.FileQuery]) -> FileAnswer:
        content = await files.read(call.path["theater_id"], call.query)
        return FileAnswer(content=content, name=PurePosixPath(call.query.path).name)

    @routes.serve(vault_proof.READ_OBJECTS)
    async def read_objects(call: Call[vault_proof.ObjectsRequest, Nothing]) -> vault_proof.GitObjects:
        return await files.objects(call.path["theater_id"], call.body)

    @routes.serve(api.READ_LOG)
    async def read_log(call: Call[Nothing, api.LogQuery]) -> api.TheaterLog:
        return await files.log(call.path["theater_id"], call.query)

    @routes.serve(api.READ_DIFF)
    async def read_diff(call: Call[Nothing, api.DiffQuery]) -> api.Diff:
        return await files.diff(call.path["theater_id"], call.query)

    @routes.serve(api.CREATE_WORKTREE)
    async def create_worktree(call: Call[api.WorktreeRequest, Nothing]) -> api.WorktreeAnswer:
        return await worktrees.create(call.body)

    @routes.serve(api.PREPARE_WORKTREE)
    async def prepare_worktree(call: Call[api.Preparation, Nothing]) -> api.WorktreeAnswer:
        return await worktrees.prepare(call.path["order_id"], call.body)

    @routes.serve(api.ARCHIVE_WORKTREE)
    async def archive_worktree(call: Call[Nothing, api.AttemptQuery]) -> api.Archive:
        return await worktrees.archive(call.path["order_id"], call.query.attempt)

    @routes.serve(api.REMOVE_WORKTREE)
    async def remove_worktree(call: Call[Nothing, api.AttemptQuery]) -> api.Archive:
        return await worktrees.remove(call.path["order_id"], call.query.attempt)

    @routes.serve(api.LIST_SALVAGE)
    async def list_salvage(call: Call[Nothing, AsOfQuery]) -> api.SalvageList:
        return await salvages.listed(call.path["theater_id"], call.query.as_of)

    @routes.serve(api.SHOW_SALVAGE)
    async def show_salvage(call: Call[Nothing, api.SalvageQuery]) -> api.SalvageDetail:
        return await salvages.show(call.path["order_id"], call.query)

    @routes.serve(api.RESTORE_SALVAGE)
    async def restore_salvage(call: Call[api.Restoration, Nothing]) -> api.Restored:
        return await salvages.restore(call.path["order_id"], call.body)

    return routes
