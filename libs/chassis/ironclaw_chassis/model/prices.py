"""What models cost: a table of prices by model name. Pure but for reading its file."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from ironclaw_chassis.settings import SettingsError

_VARIABLE = "IRONCLAW_MODEL_PRICES_FILE"
Usd = Annotated[float, Meta(ge=0, le=100_000)]


class Price(Struct, frozen=True, forbid_unknown_fields=True):
    """US dollars for a million tokens, in and out; numerically millionths of a dollar for one token."""

    input: Usd
    output: Usd

    def microusd(self, tokens_in: int, tokens_out: int) -> int:
        """Return the cost in millionths of a US dollar, rounded up."""
        return -int(-(tokens_in * self.input + tokens_out * self.output) // 1)


class Prices(Struct, frozen=True, forbid_unknown_fields=True):
    """The table: `[models."NAME"]` with `input` and `output`."""

    models: dict[str, Price] = field(default_factory=dict[str, Price])

    def of(self, model: str) -> Price | None:
        """Return a model's price, or None when it has none."""
        return self.models.get(model)


NO_PRICES = Prices()


def read_prices(path: str) -> Prices:
    """Read a price table in TOML; none for an empty path. Raises `SettingsError` naming what is wrong."""
    if not path:
        return NO_PRICES
    try:
        return msgspec.toml.decode(Path(path).read_bytes(), type=Prices)
    except OSError as error:
        raise SettingsError(f"{_VARIABLE}: {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise SettingsError(f"{_VARIABLE}: {path}: {error}") from error
