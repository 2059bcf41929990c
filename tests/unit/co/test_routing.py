"""Which profile an order goes to, how likely that was, and what is written down about it."""

from collections import Counter

import pytest

from ironclaw_co.routing import RoutingTable, draw
from ironclaw_contracts.artifacts import Profile
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.payloads import PolicyUpdated
from ironclaw_contracts.policy import PolicyDocument, PolicyParameters
from tests.unit.learning.fleet import parameters, run

DEFAULT = Profile(model="the/default")
SHARES = {"executor_default": 0.7, "quick": 0.3}


def step(action: str, version: int, document: PolicyDocument | None = None) -> PolicyUpdated:
    return PolicyUpdated(action=action, version=version, by="t", reason="x", document=document)  # type: ignore[arg-type]


def document(version: int, given: PolicyParameters | None = None) -> PolicyDocument:
    return PolicyDocument(
        version=version, as_of_seq=1, parameters=given or parameters("quick"), tasks=[], unseen=SHARES
    )


def test_given_shares_when_many_are_drawn_then_each_gets_its_part_and_a_key_always_the_same() -> None:
    drawn = Counter(draw(SHARES, f"order-{n}") for n in range(10_000))
    assert drawn["quick"] / 10_000 == pytest.approx(0.3, abs=0.02)
    assert draw(SHARES, "order-1") == draw(dict(reversed(SHARES.items())), "order-1")
    assert draw({"a": 0.0, "b": 1.0}, "x") == "b"


def test_given_no_policy_when_routed_then_the_default_profile_is_certain() -> None:
    routed = RoutingTable(default=DEFAULT).route(run(), "draft", "o")
    assert routed.profile == DEFAULT
    assert (routed.routing.basis, routed.routing.propensity) == ("default", 1.0)


def test_given_a_promoted_policy_when_routed_then_propensity_version_and_reason_are_written_down() -> None:
    table = RoutingTable(default=DEFAULT).after(step("proposed", 3, document(3)))
    assert table.version == 0
    table = table.after(step("promoted", 3, document(3)))
    routed = {n: table.route(run(), "draft", f"o{n}") for n in range(50)}
    assert {r.profile.name: r.routing.propensity for r in routed.values()} == SHARES
    assert {r.profile.model for r in routed.values()} == {"the/default", "model-quick"}
    assert {r.routing.policy_version for r in routed.values()} == {3}
    assert "no figures for draft yet" in routed[0].routing.reason
    back = table.after(step("rolled_back", 0))
    assert back.route(run(), "draft", "o1").routing.basis == "default"


def test_given_a_profile_in_the_request_when_routed_then_nothing_is_drawn() -> None:
    table = RoutingTable(default=DEFAULT)
    configured = PolicyUpdated(
        action="configured", version=0, by="t", reason="x", parameters=parameters("quick")
    )
    routed = table.after(configured).route(run("quick"), "draft", "o")
    assert routed.profile.model == "model-quick"
    assert (routed.routing.basis, routed.routing.propensity) == ("pinned", None)
    with pytest.raises(BadRequest, match="there are executor_default"):
        table.route(run("quick"), "draft", "o")
