"""The main job, through the gateway."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from ironclaw_contracts.artifacts import Aar
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.co import Cancellation
from ironclaw_contracts.endpoints.ledger import OrdersQuery, RunQuery, RunsQuery
from ironclaw_contracts.endpoints.vault import LogQuery, TheaterRequest
from ironclaw_contracts.enums import OrderPhase, RunStatus
from ironclaw_contracts.errors import BadRequest, NotFound
from ironclaw_contracts.events import Event
from tests.support.fleet import FleetUnderTest
from tests.support.git import git
from tests.support.waiting import ended


def documents(folder: Path, names: tuple[str, ...]) -> Path:
    (folder / "docs").mkdir(parents=True)
    for name in names:
        text = f"# {name.title()}\n\nThe {name} station measures the river every hour. Its gauge is old.\n"
        (folder / "docs" / f"{name}.md").write_text(text)
    return folder


async def test_given_a_fleet_when_a_message_is_sent_then_the_answer_is_merged_work(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client:
        answer = await client.call(api.CHAT, api.ChatRequest(message="Draft a note about spring floods"))
        view = await client.call(api.GET_RUN, run_id=answer.run_id)
    assert answer.status is RunStatus.COMPLETE
    assert answer.reply is not None and "offline provider" in answer.reply
    assert [order.phase for order in view.orders] == [OrderPhase.INTEGRATED]
    assert [artifact.path for artifact in answer.artifacts] == [f"outputs/{answer.run_id}/draft.md"]


async def test_given_documents_when_summarized_then_each_is_an_order_and_the_last_builds_on_all_merges(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    source = documents(tmp_path / "notes", ("alpha", "beta", "gamma"))
    async with fleet.client() as client:
        theater = await client.call(
            api.OPEN_THEATER, TheaterRequest(theater_id="notes", import_path=str(source))
        )
        request = api.ChatRequest(message="Summarize every document under docs/", theater_hint="notes")
        answer = await client.call(api.CHAT, request)
        view = await client.call(api.GET_RUN, run_id=answer.run_id)
        log = await client.call(api.READ_LOG, query=LogQuery(limit=20), theater_id="notes")
    *parts, last = view.orders
    assert answer.status is RunStatus.COMPLETE, answer.reason
    assert [order.order.type for order in view.orders] == ["summarize"] * 3 + ["synthesize"]
    assert set(last.depends_on) == {order.order_id for order in parts}
    assert last.worktree is not None
    repository = theater.repo_path
    for part in parts:
        assert part.merge_commit is not None
        git(repository, "merge-base", "--is-ancestor", part.merge_commit, last.worktree.base_commit)
    assert "summaries/docs/alpha.md" in git(repository, "ls-tree", "-r", "--name-only", "main")
    assert not set(git(repository, "ls-tree", "--name-only", "main").split()) & {
        "aar.json",
        "order.json",
        "task.md",
    }
    assert sum("Merge" in line for line in log.lines) == 4


async def test_given_a_merged_order_when_its_branch_is_read_then_the_report_lies_in_its_commit(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client:
        answer = await client.call(api.CHAT, api.ChatRequest(message="Draft a packing list"))
        order = (await client.call(api.GET_RUN, run_id=answer.run_id)).orders[0]
        theater = next(
            t for t in (await client.call(api.LIST_THEATERS)).theaters if t.theater_id == order.theater_id
        )
    raw = git(theater.repo_path, "show", f"{order.commit_sha}:aar.json")
    report = msgspec.json.decode(raw, type=Aar)
    assert (report.order_id, report.status) == (order.order_id, "completed")
    assert report.model is not None and report.model.provider == "offline"


async def test_given_async_mode_when_asked_then_the_run_is_answered_at_once_and_can_be_followed(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client:
        answer = await client.call(api.CHAT, api.ChatRequest(message="Draft a poem", mode="async"))
        assert answer.status is RunStatus.OPEN and answer.reply is None
        seen: list[Event] = []
        async for line in client.lines(api.FOLLOW_RUN, api.FollowQuery(), run_id=answer.run_id):
            if line.startswith(b"data:"):
                seen.append(msgspec.json.decode(line[5:], type=Event))
    kinds = [event.type for event in seen]
    assert kinds[0] == "RUN_CREATED" and kinds[-1] == "RUN_COMPLETED"
    assert [event.seq for event in seen] == sorted(event.seq for event in seen)


async def test_given_a_followed_run_when_resumed_after_an_event_then_only_later_ones_come(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client:
        run_id = (await client.call(api.CHAT, api.ChatRequest(message="Draft a letter"))).run_id
        run = (await client.call(api.GET_RUN, run_id=run_id)).run
        query = api.FollowQuery(after=run.first_seq)
        lines = [line async for line in client.lines(api.FOLLOW_RUN, query, run_id=run_id)]
        first = next(msgspec.json.decode(line[5:], type=Event) for line in lines if line.startswith(b"data:"))
    assert first.seq > run.first_seq


async def test_given_an_artifact_when_fetched_then_its_bytes_are_those_reported(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client:
        run_id = (await client.call(api.CHAT, api.ChatRequest(message="Draft a recipe"))).run_id
        order = (await client.call(api.GET_RUN, run_id=run_id)).orders[0]
        path = order.artifacts[0].path
        query = api.ArtifactQuery(path=path)
        content = await client.call(api.GET_ARTIFACT, query=query, order_id=order.order_id)
        assert len(content) == order.artifacts[0].size
        with pytest.raises(NotFound):
            await client.call(
                api.GET_ARTIFACT, query=api.ArtifactQuery(path="README.md"), order_id=order.order_id
            )
        with pytest.raises(BadRequest):
            query = api.ArtifactQuery(path="../../etc/passwd")
            await client.call(api.GET_ARTIFACT, query=query, order_id=order.order_id)


async def test_given_the_same_run_id_when_chat_is_retried_then_there_is_one_run(
    fleet: FleetUnderTest,
) -> None:
    request = api.ChatRequest(message="Draft a speech", run_id="retried-run", mode="async")
    async with fleet.client() as client:
        answers = await asyncio.gather(*(client.call(api.CHAT, request) for _ in range(5)))
        view = await ended(client, "retried-run")
    assert {answer.run_id for answer in answers} == {"retried-run"}
    assert len(view.orders) == 1


async def test_given_an_open_run_when_cancelled_then_no_order_stays_open(
    fleet: FleetUnderTest, tmp_path: Path
) -> None:
    source = documents(tmp_path / "many", tuple(f"d{n}" for n in range(12)))
    async with fleet.client() as client:
        await client.call(api.OPEN_THEATER, TheaterRequest(theater_id="many", import_path=str(source)))
        request = api.ChatRequest(message="Summarize docs/", theater_hint="many", mode="async")
        run_id = (await client.call(api.CHAT, request)).run_id
        await client.call(api.CANCEL_RUN, Cancellation(reason="changed my mind"), run_id=run_id)
        view = await ended(client, run_id)
    assert view.run.status is RunStatus.CANCELLED and view.run.reason == "changed my mind"
    assert {order.phase for order in view.orders} <= {OrderPhase.CANCELLED, OrderPhase.INTEGRATED}


async def test_given_a_playbook_that_does_not_fit_when_asked_then_the_run_fails_with_the_mend(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client:
        request = api.ChatRequest(message="the call", playbook="call_summary")
        answer = await client.call(api.CHAT, request)
    assert answer.status is RunStatus.FAILED
    assert answer.reason is not None and "inputs/" in answer.reason


async def test_given_a_transcript_when_call_summary_is_asked_then_notes_and_actions_are_joined(
    fleet: FleetUnderTest,
) -> None:
    transcript = "Ann: the gauge is broken. Bob: I will repair the gauge on Monday. Ann: good, thank you."
    request = api.ChatRequest(
        message="Summarize the call", playbook="call_summary", inputs={"transcript": transcript}
    )
    async with fleet.client() as client:
        answer = await client.call(api.CHAT, request)
    assert answer.status is RunStatus.COMPLETE, answer.reason
    names = {Path(artifact.path).name for artifact in answer.artifacts}
    assert names == {"notes.md", "actions.md", "call_summary.md"}


async def test_given_a_finished_run_when_read_as_of_its_first_event_then_it_is_open_and_empty(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client:
        run_id = (await client.call(api.CHAT, api.ChatRequest(message="Draft a map legend"))).run_id
        now = await client.call(api.GET_RUN, run_id=run_id)
        query = RunQuery(at_seq=now.run.first_seq)
        then = await client.call(api.GET_RUN, query=query, run_id=run_id)
        newest = await client.call(api.LIST_RUNS, query=RunsQuery(limit=1))
        listed = await client.call(api.LIST_ORDERS, query=OrdersQuery(run_id=run_id))
    assert then.run.status is RunStatus.OPEN and then.orders == []
    assert newest.runs[0].run_id == run_id and newest.next_cursor is not None
    assert [order.order_id for order in listed.orders] == [order.order_id for order in now.orders]


async def test_given_a_theater_that_does_not_exist_when_asked_then_404_names_the_mend(
    fleet: FleetUnderTest,
) -> None:
    async with fleet.client() as client:
        with pytest.raises(NotFound, match="ironclaw theater add"):
            await client.call(api.CHAT, api.ChatRequest(message="x", theater_hint="nowhere"))
