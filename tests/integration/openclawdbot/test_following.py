"""The live channel: what a follower hears, after a gap and from several processes."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ironclaw_contracts.endpoints import openclawdbot
from ironclaw_contracts.enums import Service
from ironclaw_contracts.ids import new_id
from tests.integration.openclawdbot.conftest import Outside
from tests.integration.openclawdbot.test_channels import MILESTONES, milestone
from tests.support.fleet import FleetUnderTest

_WAIT_SECONDS = 20.0


async def heard(
    outside: Outside,
    last: bytes,
    until: Callable[[list[str]], bool],
    meanwhile: Callable[[], Awaitable[object]] | None = None,
) -> list[str]:
    """Return the ids that a follower hears until it has heard enough. `meanwhile` begins once it follows."""
    ids: list[str] = []
    url = outside.url + openclawdbot.STREAM_MILESTONES.path
    headers = {"Last-Event-ID": last.decode("utf-8")} if last else {}
    going: asyncio.Future[object] | None = None
    async with asyncio.timeout(_WAIT_SECONDS), outside.session.get(url, headers=headers) as response:
        async for line in response.content:
            if line.startswith(b": following") and meanwhile is not None:
                going = asyncio.ensure_future(meanwhile())
            if line.startswith(b"id:"):
                ids.append(line[3:].strip().decode())
                if until(ids):
                    break
    if going is not None:
        await going
    return ids


@pytest.mark.parametrize("name", ["plain", "clé-日本-✅", "with spaces inside"])
async def test_given_a_key_of_any_script_when_resumed_after_it_then_the_next_is_heard_and_nothing_before(
    outside: Outside, name: str
) -> None:
    key, after = f"{name} {new_id()}", new_id()
    for sent in (key, after):
        assert (await outside.send(MILESTONES, milestone(sent))).status == 200
    assert (await heard(outside, key.encode(), lambda ids: after in ids))[0] == after


@pytest.mark.parametrize("key", ["never-sent", "line\nbreak"])
async def test_given_a_last_id_that_is_not_found_when_resumed_then_the_newest_are_heard_again(
    outside: Outside, key: str
) -> None:
    """A key with a line break cannot come back as it was: its follower hears twice rather than misses."""
    unique, after = f"{key}-{new_id()}", new_id()
    for sent in ([] if key == "never-sent" else [unique], [after]):
        for one in sent:
            assert (await outside.send(MILESTONES, milestone(one))).status == 200
    ids = await heard(outside, unique.replace("\n", "").encode(), lambda ids: after in ids)
    assert len(ids) == len(set(ids)) <= 50


@pytest.mark.trust
async def test_given_two_processes_that_take_in_at_once_when_followed_then_each_is_heard_once_and_accepted_once(
    fleet: FleetUnderTest, outside: Outside
) -> None:
    with fleet.stand_in(Service.OPENCLAWDBOT) as process:
        pairs = (line.partition("=") for line in _environment(process.pid))
        port = next(value for name, _, value in pairs if name == "IRONCLAW_OPENCLAWDBOT_PORT")
        other = Outside(outside.session, f"http://127.0.0.1:{port}", outside.secret)
        keys = [new_id() for _ in range(150)]
        statuses: list[str] = []

        async def send(key: str, to: Outside) -> None:
            statuses.append((await to.send(MILESTONES, milestone(key))).body["status"])

        async def all_twice() -> None:
            await asyncio.gather(*(send(key, to) for key in keys for to in (outside, other)))

        ids = await heard(outside, b"", lambda ids: set(keys) <= set(ids), all_twice)
    mine = [key for key in ids if key in set(keys)]
    assert len(mine) == len(set(mine)) == len(keys)
    assert (statuses.count("accepted"), statuses.count("duplicate")) == (150, 150)


def _environment(pid: int) -> list[str]:
    """The variables of a process that this test started."""
    return (Path("/proc") / str(pid) / "environ").read_bytes().decode().split("\0")
