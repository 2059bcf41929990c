"""Which tier of the sandbox a machine gets. Pure: the abilities come from `probe`."""

from enum import StrEnum

from msgspec import Struct

from ironclaw_sandbox.errors import BadSetting, SandboxRefused

SETTING = "IRONCLAW_SANDBOX"


class Tier(StrEnum):
    """How commands are contained."""

    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    OFF = "off"


class Setting(StrEnum):
    """The values of `IRONCLAW_SANDBOX`: the best tier there is, one by name, or none at all."""

    AUTO = "auto"
    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    OFF = "off"


class Ability(Struct, frozen=True, kw_only=True):
    """One thing that was tried on this machine: whether it worked, what was seen, and the mend if not."""

    name: str
    works: bool
    detail: str
    mend: str = ""


class Report(Struct, frozen=True, kw_only=True):
    """What this machine can do. `tiers` are those that contained a trial program, the best first."""

    abilities: tuple[Ability, ...]
    tiers: tuple[Tier, ...]
    bwrap: str = ""


def parse_setting(value: str | None) -> Setting:
    """Read `IRONCLAW_SANDBOX`; unset or empty means `auto`. Raises `BadSetting`."""
    try:
        return Setting(value or Setting.AUTO)
    except ValueError as problem:
        known = ", ".join(Setting)
        raise BadSetting(f"{SETTING}: {value!r} means nothing: set it to one of {known}") from problem


def choose(setting: Setting, report: Report) -> Tier:
    """Return the tier to use. Raises `SandboxRefused` with what failed and the mends."""
    if setting is Setting.OFF:
        return Tier.OFF
    if setting is Setting.AUTO and report.tiers:
        return report.tiers[0]
    if setting is not Setting.AUTO and Tier(setting) in report.tiers:
        return Tier(setting)
    wanted = (
        "no tier of the sandbox works here" if setting is Setting.AUTO else f"{SETTING}={setting} fails here"
    )
    raise SandboxRefused(
        f"{wanted}, so no command is run. {_told(report) or 'nothing was tried'}. Where the machine itself "
        f"is the boundary (a throw-away container), {SETTING}=off runs commands without a sandbox"
    )


def _told(report: Report) -> str:
    """Return what failed, each mend once: one cause takes many abilities away."""
    by_mend: dict[str, list[str]] = {}
    for one in report.abilities:
        if not one.works:
            by_mend.setdefault(one.mend, []).append(f"{one.name}: {one.detail}")
    return "; ".join(
        ", ".join(failed) + (f" (mend: {mend})" if mend else "") for mend, failed in by_mend.items()
    )
