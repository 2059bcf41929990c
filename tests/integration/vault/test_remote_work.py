"""A unit on another machine: what a grant opens, with git's own client, and everything that it does not."""

import asyncio
import gzip
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from msgspec.structs import replace

import ironclaw_git
from ironclaw_chassis.app import create_app
from ironclaw_chassis.authentication import ServiceAuthenticator
from ironclaw_chassis.client import Addresses, ServiceClient
from ironclaw_chassis.identity import Identity, TokenVerifier, load_private_key
from ironclaw_chassis.routes import Routes
from ironclaw_chassis.settings import ServiceSettings
from ironclaw_contracts.endpoints import vault, vault_remote
from ironclaw_contracts.enums import OrderPhase, Service, WorktreeState
from ironclaw_contracts.errors import Conflict, Forbidden, NotFound
from ironclaw_contracts.snapshots import Lease, OrderView, Worktree
from ironclaw_fleet.ports import free_port
from ironclaw_git import Person, Remote, RemoteRefused
from ironclaw_vault.remote.grants import GrantTokens, Scope
from ironclaw_vault.remote.routes import add_remote_routes
from ironclaw_vault.remote.work import RemoteWork
from ironclaw_vault.theaters import Theaters
from tests.integration.api_gateway.conftest import served
from tests.support.git import git
from tests.unit.ledger.history import History

UNIT, HOLDER = Person("unit", "unit@fleet.example"), "unit-1"
PUSH_BYTES_MAX = 256 * 1024


class Orders:
    """The ledger as the vault sees it."""

    def __init__(self) -> None:
        self.known: dict[str, OrderView] = {}

    async def order(self, order_id: str) -> OrderView:
        if order_id not in self.known:
            raise NotFound(order_id)
        return self.known[order_id]


@dataclass
class Site:
    """A vault that serves two orders of one theater."""

    theaters: Theaters
    orders: Orders
    tokens: GrantTokens
    url: str
    keys: Path
    port: int

    async def granted(self, order_id: str = "mine") -> tuple[vault_remote.Grant, Remote]:
        async with self.client() as client:
            request = vault_remote.GrantRequest(attempt=1, unit_id=HOLDER)
            grant = await client.call(vault.GRANT_WORKTREE, request, order_id=order_id)
        return grant, Remote(self.url + grant.git_path, grant.token)

    def client(self, service: Service = Service.WORKER) -> ServiceClient:
        settings = ServiceSettings()
        addresses = Addresses(settings, {"IRONCLAW_VAULT_URL": self.url})
        return ServiceClient(Identity.load(service, self.keys), addresses)

    async def refs(self) -> dict[str, str]:
        return await (await self.theaters.repository("t")).refs()


async def prepare(theaters: Theaters, orders: Orders, order_id: str) -> Path:
    repository = await theaters.repository("t")
    branch, head = ironclaw_git.order_branch(order_id, 1), await repository.mainline_head()
    path = theaters.places("t").worktree(order_id, 1)
    await ironclaw_git.add_worktree(repository, path, branch, head)
    for name in ("order.json", "task.md", "state.json"):
        (path / name).write_text(f"{name} of {order_id}\n")
    made = History()
    made.run()
    worktree = Worktree(1, WorktreeState.READY, str(path), branch, head, [])
    order = replace(made.create(order_id), phase=OrderPhase.RUNNING, theater_id="t", worktree=worktree)
    lease = Lease(order_id, 1, HOLDER, datetime.now(UTC) + timedelta(seconds=60))
    orders.known[order_id] = OrderView(order, lease)
    return path


@pytest.fixture
async def site(tmp_path: Path, keys_folder: Path) -> AsyncIterator[Site]:
    theaters, orders = Theaters(tmp_path / "vault", []), Orders()
    await theaters.open(vault.TheaterRequest(theater_id="t"))
    for order_id in ("mine", "theirs"):
        await prepare(theaters, orders, order_id)
    tokens = GrantTokens(load_private_key(keys_folder / "vault.key"))
    routes = Routes(Service.VAULT)
    add_remote_routes(routes, RemoteWork(theaters, orders, tokens, PUSH_BYTES_MAX))  # type: ignore[arg-type]

    app = create_app(
        routes,
        ServiceAuthenticator(TokenVerifier.load(Service.VAULT, keys_folder)),
        lifespan=nullcontext,
    )
    port = free_port()
    async with served(app, port):
        yield Site(theaters, orders, tokens, f"http://127.0.0.1:{port}", keys_folder, port)


async def as_git(folder: Path, remote: Remote, *arguments: str, protocol: int = 2) -> str:
    """Run an ordinary git with the grant's token, off the loop that serves it."""
    header = f"http.extraHeader=Authorization: Bearer {remote.token}"
    settings = ("-c", header, "-c", f"protocol.version={protocol}", "-c", "credential.helper=")
    return await asyncio.to_thread(git, folder, *settings, *arguments)


async def test_given_a_grant_when_the_unit_fetches_works_and_pushes_then_the_vaults_worktree_follows(
    site: Site, tmp_path: Path
) -> None:
    grant, remote = await site.granted()
    assert {file.name: file.content for file in grant.files}["task.md"] == "task.md of mine\n"
    path = await ironclaw_git.fetch_worktree(remote, tmp_path / "far", grant.branch, grant.base_commit)
    for file in grant.files:
        (path / file.name).write_text(file.content)
    (path / "result.txt").write_text("far work\n")
    commit = await ironclaw_git.commit_all(path, "work", UNIT)
    await ironclaw_git.push_branch(remote, path, grant.branch)
    await ironclaw_git.push_branch(remote, path, grant.branch)  # an answer that was lost: again is harmless
    async with site.client() as client:
        for _ in range(2):
            settled = await client.call(
                vault.SETTLE_WORKTREE, vault_remote.Settlement(attempt=1, commit_sha=commit), order_id="mine"
            )
            assert settled.head == commit
        with pytest.raises(Conflict, match="stands on"):
            await client.call(
                vault.SETTLE_WORKTREE,
                vault_remote.Settlement(attempt=1, commit_sha=grant.base_commit),
                order_id="mine",
            )
    standing = await ironclaw_git.status(site.theaters.places("t").worktree("mine", 1))
    assert (standing.head, standing.clean) == (commit, True)


async def test_given_a_grant_when_git_asks_for_more_than_its_branch_then_it_sees_and_gets_nothing(
    site: Site, tmp_path: Path
) -> None:
    grant, remote = await site.granted()
    repository = await site.theaters.repository("t")
    other = site.theaters.places("t").worktree("theirs", 1)
    (other / "secret.txt").write_text("of another order\n")
    hidden = await ironclaw_git.commit_all(other, "theirs", UNIT)
    for protocol in (0, 1, 2):
        listed = await as_git(tmp_path, remote, "ls-remote", remote.url, protocol=protocol)
        assert listed == f"{grant.base_commit}\trefs/heads/{grant.branch}"
    folder = tmp_path / "far"
    git(tmp_path, "init", "-q", str(folder))
    for wanted in ("refs/heads/order_theirs", hidden, "HEAD", repository.mainline_ref):
        for protocol in (0, 2):
            with pytest.raises(subprocess.CalledProcessError):
                await as_git(folder, remote, "fetch", remote.url, wanted, protocol=protocol)
    assert "commit" not in git(folder, "cat-file", "--batch-all-objects", "--batch-check").split()


@pytest.mark.parametrize(
    ("what", "refspec"),
    [
        ("another order's branch", "HEAD:refs/heads/order_theirs"),
        ("the mainline", "HEAD:refs/heads/main"),
        ("a ref of the vault's", "HEAD:refs/ironclaw/salvage/mine/1"),
        ("a new branch", "HEAD:refs/heads/order_new"),
        ("a tag", "HEAD:refs/tags/v1"),
        ("its own branch, deleted", ":refs/heads/order_mine"),
        ("its own branch, rewritten", "+rewritten:refs/heads/order_mine"),
    ],
)
async def test_given_a_grant_when_more_than_its_branch_is_pushed_forward_then_no_ref_moves(
    site: Site, tmp_path: Path, what: str, refspec: str
) -> None:
    grant, remote = await site.granted()
    folder = await ironclaw_git.fetch_worktree(remote, tmp_path / "far", grant.branch, grant.base_commit)
    (folder / "work.txt").write_text("work\n")
    await ironclaw_git.commit_all(folder, "work", UNIT)
    git(folder, "checkout", "-q", "--orphan", "rewritten")
    git(folder, "commit", "-q", "--allow-empty", "-m", "another history")
    git(folder, "checkout", "-q", "-f", grant.branch)
    before = await site.refs()
    with pytest.raises(subprocess.CalledProcessError):
        await as_git(folder, remote, "push", remote.url, refspec)
    assert await site.refs() == before, what


async def test_given_a_pack_beyond_the_bound_when_pushed_then_it_is_refused_and_nothing_moves(
    site: Site, tmp_path: Path
) -> None:
    grant, remote = await site.granted()
    folder = await ironclaw_git.fetch_worktree(remote, tmp_path / "far", grant.branch, grant.base_commit)
    (folder / "big.bin").write_bytes(os.urandom(2 * PUSH_BYTES_MAX))
    await ironclaw_git.commit_all(folder, "big", UNIT)
    before = await site.refs()
    with pytest.raises(RemoteRefused):
        await ironclaw_git.push_branch(remote, folder, grant.branch)
    assert await site.refs() == before


async def test_given_tokens_that_are_no_grant_for_this_attempt_when_shown_then_each_is_refused(
    site: Site, tmp_path: Path
) -> None:
    grant, remote = await site.granted()
    worker = Identity.load(Service.WORKER, site.keys)
    past = GrantTokens(load_private_key(site.keys / "vault.key"), lambda: time.time() - 7_200)
    forger = GrantTokens(load_private_key(site.keys / "worker.key"))
    scope = Scope("t", "mine", 1)
    refused = {
        "a service's token": worker.token_for(Service.VAULT),
        "the vault's own service token": Identity.load(Service.VAULT, site.keys).token_for(Service.VAULT),
        "an expired grant": past.issue(scope, 60)[0],
        "a forged grant": forger.issue(scope, 60)[0],
        "another order's grant": site.tokens.issue(Scope("t", "theirs", 1), 60)[0],
        "another attempt's grant": site.tokens.issue(Scope("t", "mine", 2), 60)[0],
        "nothing": "",
    }
    for what, token in refused.items():
        with pytest.raises(RemoteRefused):
            await ironclaw_git.fetch_worktree(
                replace(remote, token=token), tmp_path / "far", grant.branch, grant.base_commit
            )
        assert not (tmp_path / "far" / "order.json").exists(), what
    # And a grant opens none of the vault's other doors.
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {grant.token}"}) as session:
        url = f"{site.url}/worktrees/mine/settle"
        async with session.post(url, json={"attempt": 1, "commit_sha": grant.base_commit}) as answer:
            assert answer.status == 401
        for endpoint in (vault.GIT_REFS, vault.GIT_FETCH, vault.GIT_PUSH):
            path = endpoint.path.format(order_id="theirs", attempt="1")
            target = f"{site.url}{path}?service=git-upload-pack"
            async with session.request(endpoint.method, target, data=b"0000") as answer:
                assert answer.status == 403, endpoint.name


async def test_given_a_unit_that_does_not_hold_the_order_when_it_asks_for_a_grant_then_it_gets_none(
    site: Site,
) -> None:
    async with site.client() as client:
        for attempt, unit_id in ((1, "unit-2"), (2, HOLDER)):
            request = vault_remote.GrantRequest(attempt=attempt, unit_id=unit_id)
            with pytest.raises(Conflict):
                await client.call(vault.GRANT_WORKTREE, request, order_id="mine")
        view = site.orders.known["mine"]
        site.orders.known["mine"] = replace(view, order=replace(view.order, phase=OrderPhase.COMPLETED))
        with pytest.raises(Conflict, match="not in hand"):
            request = vault_remote.GrantRequest(attempt=1, unit_id=HOLDER)
            await client.call(vault.GRANT_WORKTREE, request, order_id="mine")
    async with site.client(Service.CO) as client:
        with pytest.raises(Forbidden):
            await client.call(
                vault.GRANT_WORKTREE, vault_remote.GrantRequest(attempt=1, unit_id=HOLDER), order_id="theirs"
            )


async def test_given_a_gzip_bomb_when_sent_as_a_fetch_then_it_meets_the_bound_not_the_memory(
    site: Site,
) -> None:
    grant, remote = await site.granted()
    headers = {"Authorization": f"Bearer {grant.token}", "Content-Encoding": "gzip"}
    async with aiohttp.ClientSession(headers=headers) as session:
        bomb = gzip.compress(bytes(64 * 1024 * 1024))
        async with session.post(f"{remote.url}/git-upload-pack", data=bomb) as answer:
            assert answer.status == 413
        async with session.post(f"{remote.url}/git-upload-pack", data=b"no gzip") as answer:
            assert answer.status == 400
