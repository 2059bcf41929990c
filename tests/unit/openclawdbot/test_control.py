"""What the command center shows of what runs."""

import pytest

from ironclaw_contracts.artifacts import Profile
from ironclaw_contracts.commands import CommandPolicy, TheaterPolicy
from ironclaw_contracts.enums import Service
from ironclaw_openclawdbot.control import TheaterSeen, control

PROFILES = [Profile(name="executor_default"), Profile(name="careful", model="big")]
CLOSED = TheaterSeen("closed", TheaterPolicy(), needs_approval=False)
OPEN = TheaterSeen(
    "open", TheaterPolicy(commands=CommandPolicy(allow=["make", "ruff"], network=True)), needs_approval=True
)


def test_given_services_and_theaters_when_shown_then_each_theater_has_an_engine_for_each_profile() -> None:
    shown = control([CLOSED, OPEN], PROFILES, "standard")
    services, closed, opened = shown["clusters"]
    assert {engine["id"] for engine in services["engines"]} == {service.value for service in Service}
    assert [engine["id"] for engine in closed["engines"]] == ["closed-executor_default", "closed-careful"]
    assert [engine["model"] for engine in opened["engines"]] == ["standard", "big"]


@pytest.mark.parametrize(
    ("theater", "skills", "network", "approval"),
    [(CLOSED, ["ruff"], "local", "bounded"), (OPEN, ["make", "ruff"], "allowlisted", "approval-gated")],
)
def test_given_a_theaters_policy_when_shown_then_its_engines_say_what_they_may(
    theater: TheaterSeen, skills: list[str], network: str, approval: str
) -> None:
    [engine] = control([theater], PROFILES[:1], "standard")["clusters"][1]["engines"]
    assert engine["allowedSkills"] == skills
    assert (engine["networkMode"], engine["approvalClass"]) == (network, approval)
    assert engine["tier"] == "balanced"
