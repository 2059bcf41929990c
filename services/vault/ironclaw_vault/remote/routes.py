"""HTTP in, HTTP out, for units on other machines."""

from typing import Any

from ironclaw_chassis.routes import Call, RawAnswer, RawCall, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import vault_remote as api
from ironclaw_git import GitService, Repository
from ironclaw_vault.remote.work import RemoteWork


def add_remote_routes(routes: Routes, work: RemoteWork) -> None:
    """Add the routes of grants and of git's smart HTTP."""

    @routes.serve(api.GRANT_WORKTREE)
    async def grant_worktree(call: Call[api.GrantRequest, Nothing]) -> api.Grant:
        return await work.grant(call.path["order_id"], call.body)

    @routes.serve(api.SETTLE_WORKTREE)
    async def settle_worktree(call: Call[api.Settlement, Nothing]) -> api.Settled:
        return await work.settle(call.path["order_id"], call.body)

    @routes.raw(api.GIT_REFS)
    async def git_refs(call: RawCall[api.GitQuery]) -> RawAnswer:
        service = call.query.service
        repository, branch = await _opened(work, call)
        return RawAnswer(f"application/x-{service}-advertisement", work.refs(repository, branch, service))

    @routes.raw(api.GIT_FETCH)
    async def git_fetch(call: RawCall[Nothing]) -> RawAnswer:
        return await _exchange(work, call, "git-upload-pack")

    @routes.raw(api.GIT_PUSH)
    async def git_push(call: RawCall[Nothing]) -> RawAnswer:
        return await _exchange(work, call, "git-receive-pack")


async def _exchange(work: RemoteWork, call: RawCall[Nothing], service: GitService) -> RawAnswer:
    repository, branch = await _opened(work, call)
    request = await work.received(service, call.stream, call.headers.get("content-encoding", ""))
    return RawAnswer(f"application/x-{service}-result", work.exchange(repository, branch, service, request))


async def _opened(work: RemoteWork, call: RawCall[Any]) -> tuple[Repository, str]:
    return await work.opened(call.headers.get("authorization"), call.path["order_id"], call.path["attempt"])
