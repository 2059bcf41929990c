"""Settings of learning."""

import secrets
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import DatabaseSettings, SettingsError
from ironclaw_contracts.artifacts import Profile
from ironclaw_contracts.policy import DEFAULT_PROFILE, PolicyParameters, Share

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Settings(DatabaseSettings, frozen=True, kw_only=True):
    """What learning reads from the environment; the table is in docs/settings.md.

    `profiles` reads `quick=MODEL,careful=MODEL`: what orders can be routed to besides the default profile.
    """

    tick_seconds: Annotated[float, Meta(gt=0)] = 15.0
    profiles: str = ""
    floor: Annotated[float, Meta(ge=0, le=0.2)] = 0.05
    evidence_min: Annotated[int, Meta(ge=1, le=10_000)] = 10
    half_life_orders: Annotated[int, Meta(ge=10, le=1_000_000)] = 300
    shift_max: Share = 0.9
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    policy_autopromote: bool = False
    appleseed_dir: str = ""
    appleseed_api_key: Secret = Secret("")

    @property
    def appleseed_folder(self) -> Path:
        """Where Appleseed's configuration, skills and state lie."""
        return Path(self.appleseed_dir) if self.appleseed_dir else Path(self.home) / "appleseed"

    @property
    def appleseed_key(self) -> Secret | None:
        """What callers of Appleseed's surface have to show.

        Without a key programs on this machine are let in; where others can reach us, nobody is: the key is
        one that nobody knows.
        """
        if self.appleseed_api_key.reveal():
            return self.appleseed_api_key
        return None if self.host in _LOOPBACK else Secret(secrets.token_urlsafe(32))

    @property
    def parameters(self) -> PolicyParameters:
        """What policies are made with. Raises `SettingsError` for profiles that do not read so."""
        pairs = [part.partition("=") for part in self.profiles.split(",") if part.strip()]
        named = {name.strip(): model.strip() for name, _, model in pairs}
        try:
            if len(named) != len(pairs) or not all(named.values()):
                raise msgspec.ValidationError("every profile needs a name of its own, and a model")
            others = msgspec.convert(
                [{"name": name, "model": model} for name, model in named.items() if name != DEFAULT_PROFILE],
                list[Profile],
            )
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"IRONCLAW_LEARNING_PROFILES: {error}; write NAME=MODEL,NAME=MODEL"
            ) from error
        return PolicyParameters(
            profiles=[Profile(name=DEFAULT_PROFILE, model=named.get(DEFAULT_PROFILE, "")), *others],
            floor=self.floor,
            evidence_min=self.evidence_min,
            half_life_orders=self.half_life_orders,
            shift_max=self.shift_max,
            seed=self.seed,
        )
