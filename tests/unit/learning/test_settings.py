"""What learning reads from the environment, and what it makes of it."""

import pytest

from ironclaw_chassis.settings import SettingsError, read_settings
from ironclaw_contracts.enums import Service
from ironclaw_learning.settings import Settings


def settings(**environ: str) -> Settings:
    return read_settings(Settings, Service.LEARNING, environ)


def test_given_profiles_when_read_then_the_default_one_is_among_them() -> None:
    given = settings(IRONCLAW_LEARNING_PROFILES="quick=a/b, careful = c/d").parameters
    assert [(p.name, p.model) for p in given.profiles] == [
        ("executor_default", ""),
        ("quick", "a/b"),
        ("careful", "c/d"),
    ]
    assert [p.name for p in settings().parameters.profiles] == ["executor_default"]


def test_given_a_model_for_the_default_profile_when_read_then_it_is_no_second_profile() -> None:
    given = settings(IRONCLAW_LEARNING_PROFILES="executor_default=a/b").parameters
    assert [(p.name, p.model) for p in given.profiles] == [("executor_default", "a/b")]


@pytest.mark.parametrize("text", ["quick", "quick=", "=a/b", "../x=a/b", "quick=a,quick=b"])
def test_given_profiles_that_do_not_read_so_when_read_then_the_mend_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="NAME=MODEL"):
        _ = settings(IRONCLAW_LEARNING_PROFILES=text).parameters


def test_given_no_key_when_others_can_reach_us_then_nobody_has_the_key() -> None:
    assert settings().appleseed_key is None
    known = settings(APPLESEED_API_KEY="k", IRONCLAW_HOST="0.0.0.0").appleseed_key
    assert known is not None and known.reveal() == "k"
    unknown = settings(IRONCLAW_HOST="0.0.0.0").appleseed_key
    assert unknown is not None and len(unknown.reveal()) > 30
