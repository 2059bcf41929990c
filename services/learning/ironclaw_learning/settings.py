"""Settings of learning."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ironclaw_chassis.settings import DatabaseSettings, SettingsError
from ironclaw_contracts.artifacts import Profile
from ironclaw_contracts.policy import DEFAULT_PROFILE, PolicyParameters, Share


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

    @property
    def parameters(self) -> PolicyParameters:
        """What policies are made with. Raises `SettingsError` for profiles that do not read so."""
        parts = (part.strip() for part in self.profiles.split(","))
        named = {name.strip(): model.strip() for name, _, model in (p.partition("=") for p in parts if p)}
        try:
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
