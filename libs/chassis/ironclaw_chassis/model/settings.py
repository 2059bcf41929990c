"""What a service that asks models reads from the environment, and the client made from it."""

from typing import Annotated, Protocol

from msgspec import Meta

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.model.cassette import Cassette
from ironclaw_chassis.model.client import ModelClient
from ironclaw_chassis.model.payer import LedgerPurse
from ironclaw_chassis.model.prices import read_prices
from ironclaw_chassis.secret import Secret

DEFAULT_BASE_URL = "https://api.intelligence.io.solutions/api/v1"
DEFAULT_MODEL = "meta-llama/Llama-3.3-70B-Instruct"


DEFAULT_OUTPUT_TOKENS = 4_096
DEFAULT_CONCURRENCY = 16
OutputTokens = Annotated[int, Meta(ge=1, le=1_000_000)]
Concurrency = Annotated[int, Meta(ge=1, le=10_000)]


class ModelSettings(Protocol):
    """The provider, and what a call may take; each is read under the shared names of docs/settings.md."""

    @property
    def model_base_url(self) -> str: ...
    @property
    def model_api_key(self) -> Secret: ...
    @property
    def model_prices_file(self) -> str: ...
    @property
    def model_output_tokens_max(self) -> int: ...
    @property
    def model_concurrency(self) -> int: ...
    @property
    def model_cassette(self) -> str: ...


def open_model(settings: ModelSettings, client: ServiceClient) -> ModelClient:
    """Return the client. Raises `SettingsError` for a price table or cassette that cannot be read."""
    return ModelClient(
        settings.model_base_url,
        settings.model_api_key,
        LedgerPurse(client),
        prices=read_prices(settings.model_prices_file),
        output_tokens_max=settings.model_output_tokens_max,
        concurrency=settings.model_concurrency,
        cassette=Cassette.parse(settings.model_cassette),
    )
