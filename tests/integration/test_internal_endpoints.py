"""The seed's endpoints that services and operators' programs call, one by one on a running fleet."""

import msgspec
import pytest

from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts import spending
from ironclaw_contracts.endpoints import (
    api_gateway,
    co,
    duty_officer,
    integration,
    ledger,
    observer,
    vault,
    worker,
)
from ironclaw_contracts.enums import OrderPhase, RunStatus, Service
from ironclaw_contracts.errors import (
    BadRequest,
    BudgetExceeded,
    Conflict,
    EventConflict,
    Forbidden,
    IllegalTransition,
    LeaseLost,
    NotFound,
    Unauthenticated,
)
from ironclaw_contracts.health import health_endpoint, readiness_endpoint
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.jobs import JobMessage
from ironclaw_contracts.plan import Budget
from ironclaw_contracts.snapshots import OrderSnapshot
from tests.support.fleet import FleetUnderTest
from tests.support.waiting import ended


async def test_given_a_run_when_planned_dispatched_and_synthesized_by_hand_then_the_seeds_answers_come(
    fleet: FleetUnderTest,
) -> None:
    request = co.RunRequest(user_id="u_123", objective="Draft a by-law")
    async with fleet.as_service(Service.API_GATEWAY) as gateway:
        run = await gateway.call(co.CREATE_RUN, request)
        planned = await gateway.call(co.PLAN_RUN, run_id=run.run_id)
        assert len(planned.order_ids) == 1 and planned.dependencies == {planned.order_ids[0]: []}
        dispatched = await gateway.call(co.DISPATCH_RUN, run_id=run.run_id)
        assert set(dispatched.enqueued) <= set(planned.order_ids)
        await ended(_Gateway(gateway), run.run_id)
        synthesized = await gateway.call(co.SYNTHESIZE_RUN, run_id=run.run_id)
        assert synthesized.status is RunStatus.COMPLETE and synthesized.reply is not None
        with pytest.raises(IllegalTransition):
            await gateway.call(co.CANCEL_RUN, co.Cancellation(), run_id=run.run_id)


class _Gateway:
    """Reads a run from the ledger where `ended` asks the gateway."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def call(self, _: object, run_id: str) -> object:
        return await self._client.call(ledger.GET_RUN, run_id=run_id)


async def merged_order(fleet: FleetUnderTest) -> OrderSnapshot:
    async with fleet.client() as client:
        chat = api_gateway.ChatRequest(message="Draft a sign")
        answer = await client.call(api_gateway.CHAT, chat)
        return (await client.call(api_gateway.GET_RUN, run_id=answer.run_id)).orders[0]


async def test_given_a_theater_when_the_vault_is_asked_then_files_history_and_bytes_come(
    fleet: FleetUnderTest,
) -> None:
    order = await merged_order(fleet)
    async with fleet.as_service(Service.CO) as client:
        opened = await client.call(vault.OPEN_THEATER, vault.TheaterRequest(theater_id=order.theater_id))
        theaters = (await client.call(vault.LIST_THEATERS)).theaters
        theater = await client.call(vault.GET_THEATER, theater_id=order.theater_id)
        assert opened == theater and theater in theaters
        query = vault.FilesQuery(pattern="outputs/*", limit=5000)
        files = await client.call(vault.LIST_FILES, query=query, theater_id=order.theater_id)
        path = order.artifacts[0].path
        assert path in {file.path for file in files.files} and not files.truncated
        content = await client.call(
            vault.READ_FILE, query=vault.FileQuery(path=path), theater_id=order.theater_id
        )
        assert len(content) == order.artifacts[0].size
        merge = vault.DiffQuery(commit=order.merge_commit or "")
        diff = await client.call(vault.READ_DIFF, query=merge, theater_id=order.theater_id)
        assert diff.paths == [order.artifacts[0].path] and diff.patch.startswith("diff --git")
        with pytest.raises(NotFound):
            unknown = vault.DiffQuery(commit="f" * 40)
            await client.call(vault.READ_DIFF, query=unknown, theater_id=order.theater_id)
        log = await client.call(vault.READ_LOG, query=vault.LogQuery(limit=1), theater_id=order.theater_id)
        assert log.head == theater.head
        with pytest.raises(NotFound):
            await client.call(vault.GET_THEATER, theater_id="none")
        with pytest.raises(NotFound):
            query_ = vault.FileQuery(path="none.md")
            await client.call(vault.READ_FILE, query=query_, theater_id=order.theater_id)
        with pytest.raises(NotFound):
            unknown = vault.FilesQuery(commit="0" * 40)
            await client.call(vault.LIST_FILES, query=unknown, theater_id=order.theater_id)


async def test_given_an_ended_order_when_its_worktree_is_asked_for_then_each_call_is_idempotent_or_refused(
    fleet: FleetUnderTest,
) -> None:
    order = await merged_order(fleet)
    order_id, theater_id = order.order_id, order.theater_id
    async with fleet.as_service(Service.CO) as client:
        first = await client.call(vault.REMOVE_WORKTREE, order_id=order_id)
        again = await client.call(vault.REMOVE_WORKTREE, order_id=order_id)
        assert first == again and first.ref == f"refs/ironclaw/archive/{order_id}/1"
        first_attempt = vault.AttemptQuery(attempt=1)
        kept = await client.call(vault.ARCHIVE_WORKTREE, query=first_attempt, order_id=order_id)
        assert kept.head == order.commit_sha
        with pytest.raises(NotFound):
            query = vault.AttemptQuery(attempt=9)
            await client.call(vault.ARCHIVE_WORKTREE, query=query, order_id=order_id)
        with pytest.raises(IllegalTransition):
            request = vault.WorktreeRequest(theater_id=theater_id, order_id=order_id)
            await client.call(vault.CREATE_WORKTREE, request)
        with pytest.raises(BadRequest, match="branch"):
            request = vault.WorktreeRequest(theater_id=theater_id, order_id=order_id, branch="main")
            await client.call(vault.CREATE_WORKTREE, request)
        answer = await client.call(
            vault.PREPARE_WORKTREE, vault.Preparation(order=order.order), order_id=order_id
        )
        assert order.worktree is not None and answer.worktree_path == order.worktree.path


async def test_given_a_job_of_an_ended_order_when_submitted_then_it_is_dropped_without_harm(
    fleet: FleetUnderTest,
) -> None:
    order = await merged_order(fleet)
    job = JobMessage(
        order_id=order.order_id,
        run_id=order.run_id,
        theater_id=order.theater_id,
        worktree_path="/nowhere",
        attempt=1,
        profile=order.order.profile,
        constraints=order.order.constraints,
        tool_policy=order.order.constraints.tool_policy,
    )
    async with fleet.as_service(Service.CO) as client:
        accepted = await client.call(worker.SUBMIT_JOB, job)
        assert accepted.order_id == order.order_id
        after = await client.call(ledger.GET_ORDER, order_id=order.order_id)
    assert after.order.phase is OrderPhase.INTEGRATED


async def test_given_patrols_and_integration_when_called_directly_then_they_answer(
    fleet: FleetUnderTest,
) -> None:
    order = await merged_order(fleet)
    async with fleet.as_service(Service.API_GATEWAY) as client:
        seen = await client.call(observer.PATROL_THEATER, theater_id=order.theater_id)
        assert set(seen.checked) >= {"running_without_lease", "orphan_worktree"}
        assert "interventions" in (await client.call(duty_officer.PATROL)).figures
        request = integration.IntegrationRequest(theater_id=order.theater_id, order_id=order.order_id)
        answer = await client.call(integration.INTEGRATE, request)
        assert (answer.phase, answer.merge_commit) == (OrderPhase.INTEGRATED, order.merge_commit)
        with pytest.raises(BadRequest, match="theater"):
            wrong = integration.IntegrationRequest(theater_id="other", order_id=order.order_id)
            await client.call(integration.INTEGRATE, wrong)
        with pytest.raises(BadRequest, match="worktree_path"):
            wrong = integration.IntegrationRequest(
                theater_id=order.theater_id, order_id=order.order_id, worktree_path="/elsewhere"
            )
            await client.call(integration.INTEGRATE, wrong)


async def test_given_the_ledgers_reads_when_called_then_they_page_filter_and_explain(
    fleet: FleetUnderTest,
) -> None:
    order = await merged_order(fleet)
    async with fleet.as_service(Service.API_GATEWAY) as client:
        runs = await client.call(ledger.LIST_RUNS, query=ledger.RunsQuery(limit=1))
        older = await client.call(ledger.LIST_RUNS, query=ledger.RunsQuery(limit=1, cursor=runs.next_cursor))
        assert older.runs[0].first_seq < runs.runs[0].first_seq
        query = ledger.OrdersQuery(theater_id=order.theater_id, phases="INTEGRATED,FAILED", limit=1000)
        assert order.order_id in {
            o.order_id for o in (await client.call(ledger.LIST_ORDERS, query=query)).orders
        }
        query = ledger.OrdersQuery(phase=OrderPhase.PLANNED, run_id=order.run_id)
        assert (await client.call(ledger.LIST_ORDERS, query=query)).orders == []
        assert (await client.call(ledger.WHY_ORDER, order_id=order.order_id)).terminal
        assert (await client.call(ledger.WHY_RUN, run_id=order.run_id)).terminal
        chain = await client.call(ledger.GET_CHAIN)
        assert chain.head_seq > 0 and len(chain.head_hash) == 64
        assert (await client.call(ledger.VERIFY_CHAIN)).ok
        types = ledger.EventsQuery(types="INTEGRATED,RUN_COMPLETED", theater_id=order.theater_id, limit=1000)
        kinds = {e.type for e in (await client.call(ledger.LIST_EVENTS, query=types)).events}
        assert kinds == {"INTEGRATED", "RUN_COMPLETED"}
        with pytest.raises(BadRequest, match="JUGGLE"):
            await client.call(ledger.LIST_EVENTS, query=ledger.EventsQuery(types="JUGGLE"))
        exported = [line async for line in client.lines(ledger.EXPORT)]
        assert len(exported) >= chain.head_seq
        assert (await client.call(ledger.REBUILD)).differing == []
    async with fleet.as_service(Service.WORKER) as client:
        with pytest.raises(Conflict):
            renewal = ledger.LeaseRenewal(attempt=1, unit_id="assault_none")
            await client.call(ledger.RENEW_LEASE, renewal, order_id=order.order_id)
        with pytest.raises(Forbidden):
            await client.call(ledger.REBUILD)


async def test_given_events_over_http_when_appended_then_authority_and_identity_hold(
    fleet: FleetUnderTest,
) -> None:
    from ironclaw_contracts.events import EventType, new_event
    from ironclaw_contracts.payloads import PatrolTick

    tick = new_event(EventType.PATROL_TICK, PatrolTick(), event_id="http-tick")
    async with fleet.as_service(Service.DUTY_OFFICER) as client:
        first = await client.call(ledger.APPEND_EVENT, tick)
        again = await client.call(ledger.APPEND_BATCH, ledger.Batch(events=[tick]))
        assert again.events[0].seq == first.seq and again.events[0].duplicate
        other = new_event(EventType.PATROL_TICK, PatrolTick(figures={"a": 1}), event_id="http-tick")
        with pytest.raises(EventConflict):
            await client.call(ledger.APPEND_EVENT, other)
    async with fleet.as_service(Service.WORKER) as client:
        with pytest.raises(Forbidden, match="may not append"):
            await client.call(ledger.APPEND_EVENT, tick)
    async with fleet.client() as person:
        with pytest.raises(Unauthenticated):
            # A person's key is no service token, even on the ledger's own port.
            from ironclaw_chassis.client import Addresses
            from ironclaw_chassis.settings import ServiceSettings
            from ironclaw_fleet.cli.session import KeyCredentials

            addresses = Addresses(ServiceSettings(port_base=fleet.port_base), {})
            async with ServiceClient(KeyCredentials(fleet.operator_key), addresses) as intruder:
                await intruder.call(ledger.GET_CHAIN)
        assert (await person.call(api_gateway.GET_CHAIN)).head_seq > 0


async def test_given_every_service_when_asked_for_health_then_it_answers_without_a_key(
    fleet: FleetUnderTest,
) -> None:
    from ironclaw_contracts.endpoints import ALL

    async with fleet.as_service(Service.CO) as client:
        for service in ALL:
            assert (await client.call(health_endpoint(service))).service == service.value
            assert (await client.call(readiness_endpoint(service))).ready


def test_given_the_state_directory_when_its_modes_are_read_then_secrets_are_private(
    fleet: FleetUnderTest,
) -> None:
    secrets = [p for p in fleet.state.keys.iterdir() if p.suffix in {".key", ".password", ".apikey"}]
    assert len(secrets) > 10
    assert {oct(path.stat().st_mode & 0o777) for path in secrets} == {"0o600"}


async def test_given_a_run_when_calls_are_reserved_and_settled_over_http_then_its_account_shows_them(
    fleet: FleetUnderTest,
) -> None:
    worst = spending.Worst(run_id="none", profile="planner", tokens=100, cost_microusd=50)
    async with fleet.as_service(Service.CO) as client:
        request = co.RunRequest(
            user_id="u", objective="Draft a by-law", budget=Budget(spend=spending.Ceiling(tokens=150))
        )
        async with fleet.as_service(Service.API_GATEWAY) as gateway:
            run_id = (await gateway.call(co.CREATE_RUN, request)).run_id
        with pytest.raises(NotFound):
            await client.call(ledger.RESERVE, worst, reservation_id=new_id())
        worst = msgspec.structs.replace(worst, run_id=run_id)
        first, second = new_id(), new_id()
        held = await client.call(ledger.RESERVE, worst, reservation_id=first)
        assert held.accounts[0].reserved_tokens == 100
        with pytest.raises(BudgetExceeded):
            await client.call(ledger.RESERVE, worst, reservation_id=second)
        await client.call(ledger.MARK_SENT, reservation_id=first)
        with pytest.raises(LeaseLost):
            await client.call(ledger.MARK_SENT, reservation_id=second)
        for _ in range(2):
            await client.call(ledger.SETTLE, spending.Spent(30, 20), reservation_id=first)
        (account,) = (await client.call(ledger.RUN_SPENDING, run_id=run_id)).accounts
        assert (account.tokens, account.cost_microusd, account.reserved_tokens) == (30, 20, 0)
    async with fleet.as_service(Service.VAULT) as stranger:
        with pytest.raises(Forbidden):
            await stranger.call(ledger.RESERVE, worst, reservation_id=new_id())
