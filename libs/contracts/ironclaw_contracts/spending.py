"""What model calls may cost, and what they did: ceilings, reservations, accounts."""

from typing import Annotated

from msgspec import Meta, Struct

from ironclaw_contracts.ids import Attempt, Id

MICROUSD = 1_000_000
"""Money is counted in whole millionths of a US dollar, so that sums are exact."""

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Ceiling(Struct, frozen=True, omit_defaults=True):
    """What may be spent in all: tokens, in and out together, and US dollars. None for no ceiling."""

    tokens: Count | None = None
    usd: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None

    @property
    def microusd(self) -> int | None:
        """The ceiling in millionths of a US dollar."""
        return None if self.usd is None else round(self.usd * MICROUSD)


class SpendingKey(Struct, frozen=True):
    """Whose API key a run is charged to, and what that key may spend in all."""

    key_id: Id
    ceiling: Ceiling = Ceiling()


class Worst(Struct, frozen=True, kw_only=True):
    """A call that is about to be made, at the most that it can cost.

    Of an order's unit, or of a run itself (planning), which then holds it for `seconds`. Without
    `cost_microusd` the model has no price.
    """

    run_id: Id
    order_id: Id | None = None
    attempt: Attempt = 1
    unit_id: Id | None = None
    profile: Id
    tokens: Count
    cost_microusd: Count | None = None
    seconds: Annotated[int, Meta(ge=1, le=3_600)] = 60


class Spent(Struct, frozen=True):
    """What a call cost in the end."""

    tokens: Count
    cost_microusd: Count


class Account(Struct, frozen=True, kw_only=True):
    """What one order, run, key or profile has spent, and what is reserved for calls under way."""

    account: str
    tokens: int = 0
    cost_microusd: int = 0
    reserved_tokens: int = 0
    reserved_cost_microusd: int = 0
    ceiling: Ceiling = Ceiling()


def exceeding(account: Account, worst: Worst) -> str | None:
    """Return why a call would pass an account's ceiling, naming the figures and the mend; else None."""
    tokens_max, cost_max = account.ceiling.tokens, account.ceiling.microusd
    tokens = account.tokens + account.reserved_tokens + worst.tokens
    if tokens_max is not None and tokens > tokens_max:
        return (
            f"{account.account}: this call may take {worst.tokens} tokens; {account.tokens} are spent and"
            f" {account.reserved_tokens} reserved of {tokens_max}: raise its ceiling of tokens, or send less"
        )
    if cost_max is None:
        return None
    if worst.cost_microusd is None:
        return (
            f"{account.account}: has a ceiling in US dollars, and the model has no price;"
            " give one in IRONCLAW_MODEL_PRICES_FILE"
        )
    if account.cost_microusd + account.reserved_cost_microusd + worst.cost_microusd > cost_max:
        spent, reserved = _usd(account.cost_microusd), _usd(account.reserved_cost_microusd)
        return (
            f"{account.account}: this call may cost {_usd(worst.cost_microusd)}; {spent} are spent and"
            f" {reserved} reserved of {_usd(cost_max)}: raise its ceiling of usd, or take a cheaper model"
        )
    return None


def _usd(microusd: int) -> str:
    return f"${microusd / MICROUSD:.6f}".rstrip("0").rstrip(".")
