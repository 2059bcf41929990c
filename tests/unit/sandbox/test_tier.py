"""Which tier a machine gets, and the refusal that names the mend."""

import pytest

from ironclaw_sandbox import Ability, BadSetting, Report, SandboxRefused, Setting, Tier, choose, parse_setting
from ironclaw_sandbox.trial import failures

MISSING = Ability(name="landlock", works=False, detail="EOPNOTSUPP", mend="a newer kernel")
NOTHING = Report(abilities=(MISSING,), tiers=())
BOTH = Report(abilities=(), tiers=(Tier.BUBBLEWRAP, Tier.LANDLOCK))
SECOND = Report(abilities=(MISSING,), tiers=(Tier.LANDLOCK,))


@pytest.mark.parametrize(
    ("setting", "report", "tier"),
    [
        (Setting.AUTO, BOTH, Tier.BUBBLEWRAP),
        (Setting.AUTO, SECOND, Tier.LANDLOCK),
        (Setting.LANDLOCK, BOTH, Tier.LANDLOCK),
        (Setting.BUBBLEWRAP, BOTH, Tier.BUBBLEWRAP),
        (Setting.OFF, NOTHING, Tier.OFF),
        (Setting.OFF, BOTH, Tier.OFF),
    ],
)
def test_given_a_setting_and_a_machine_when_a_tier_is_chosen_then_it_is_that_one(
    setting: Setting, report: Report, tier: Tier
) -> None:
    assert choose(setting, report) is tier


@pytest.mark.parametrize(
    ("setting", "report"),
    [(Setting.AUTO, NOTHING), (Setting.BUBBLEWRAP, SECOND), (Setting.LANDLOCK, NOTHING)],
)
def test_given_a_machine_without_the_tier_when_one_is_chosen_then_it_is_refused_with_the_mend(
    setting: Setting, report: Report
) -> None:
    with pytest.raises(SandboxRefused) as refused:
        choose(setting, report)
    for said in ("landlock: EOPNOTSUPP", "a newer kernel", "IRONCLAW_SANDBOX=off", "no command is run"):
        assert said in refused.value.message


def test_given_a_cause_that_takes_many_abilities_away_when_refused_then_its_mend_is_told_once() -> None:
    others = [
        Ability(name=f"{name} namespace", works=False, detail="EPERM", mend="allow it") for name in "ab"
    ]
    with pytest.raises(SandboxRefused) as refused:
        choose(Setting.AUTO, Report(abilities=(*others, MISSING), tiers=()))
    assert "a namespace: EPERM, b namespace: EPERM (mend: allow it); landlock" in refused.value.message


@pytest.mark.parametrize("value", [None, "", "auto"])
def test_given_no_setting_when_it_is_read_then_the_best_tier_is_meant(value: str | None) -> None:
    assert parse_setting(value) is Setting.AUTO


@pytest.mark.parametrize("value", ["Off", "none", "0", "false", " off", "off\n"])
def test_given_a_setting_that_means_nothing_when_it_is_read_then_nothing_is_switched_off(value: str) -> None:
    with pytest.raises(BadSetting, match="IRONCLAW_SANDBOX"):
        parse_setting(value)


@pytest.mark.parametrize(
    "said", [b"", b"[]", b"{}", b"nonsense", b"\xff", b"null", b'{"connect to the host": "x"}']
)
def test_given_a_garbled_trial_when_it_is_judged_then_the_tier_is_not_trusted(said: bytes) -> None:
    assert failures(said)


def test_given_a_trial_when_it_is_judged_then_each_thing_that_got_through_is_named() -> None:
    contained = b'{"write in the worktree": "", "connect to the host": "refused"}'
    assert failures(contained) == []
    assert failures(contained.replace(b'"refused"', b'""')) == ["let it connect to the host"]
    useless = b'{"write in the worktree": "denied", "connect to the host": "refused"}'
    assert failures(useless) == ["refused to write in the worktree: denied"]
