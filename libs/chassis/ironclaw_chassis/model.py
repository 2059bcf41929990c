"""The model client: any OpenAI-compatible endpoint, io.intelligence by default, errors typed by cause."""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import stamina
from msgspec import Struct

from ironclaw_chassis.metrics import SLOW_SECONDS, counter, histogram
from ironclaw_chassis.secret import Secret
from ironclaw_chassis.tracing import span
from ironclaw_contracts.enums import Cause

if TYPE_CHECKING:
    from openai import AsyncOpenAI

DEFAULT_BASE_URL = "https://api.intelligence.io.solutions/api/v1"
DEFAULT_MODEL = "meta-llama/Llama-3.3-70B-Instruct"
PROVIDER = "io.intelligence"

_ATTEMPTS_MAX = 3

MODEL_SECONDS = histogram(
    "ironclaw_model_seconds",
    "Time that a call of a model took; the outcome is ok or the cause of its failure.",
    ("model", "outcome"),
    SLOW_SECONDS,
)
MODEL_TOKENS = counter(
    "ironclaw_model_tokens_total", "Tokens that models read (in) and wrote (out).", ("model", "direction")
)


class ModelError(Exception):
    """The provider did not answer; `cause` says whether that is its fault, our key's, or a limit."""

    def __init__(self, cause: Cause, message: str) -> None:
        super().__init__(message)
        self.cause = cause


class Completion(Struct, frozen=True):
    """A model's answer and what it cost in tokens."""

    text: str
    model: str
    tokens_in: int
    tokens_out: int


class ModelClient:
    """One provider. The SDK is imported at the first call, since it costs half a second."""

    def __init__(self, base_url: str, api_key: Secret) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._client: AsyncOpenAI | None = None

    async def complete(
        self, model: str, system: str, user: str, *, temperature: float, timeout_seconds: float
    ) -> Completion:
        """Ask for one completion. Raises `ModelError`; trouble of the provider is retried with backoff."""
        return await _retrying(lambda: self._measured(model, system, user, temperature, timeout_seconds))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _measured(
        self, model: str, system: str, user: str, temperature: float, timeout_seconds: float
    ) -> Completion:
        about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": model}
        started, outcome = time.perf_counter(), "cancelled"
        with span(f"chat {model}", "client", attributes=about) as traced:
            try:
                answer = await self._once(model, system, user, temperature, timeout_seconds)
                outcome = "ok"
            except ModelError as error:
                outcome = error.cause.value
                raise
            finally:
                MODEL_SECONDS.labels(model, outcome).observe(time.perf_counter() - started)
            traced.set("gen_ai.usage.input_tokens", answer.tokens_in)
            traced.set("gen_ai.usage.output_tokens", answer.tokens_out)
        MODEL_TOKENS.labels(model, "in").inc(answer.tokens_in)
        MODEL_TOKENS.labels(model, "out").inc(answer.tokens_out)
        return answer

    async def _once(
        self, model: str, system: str, user: str, temperature: float, timeout_seconds: float
    ) -> Completion:
        import openai

        client = self._connected()
        try:
            answer = await client.chat.completions.create(
                model=model,
                messages=[{"role": "system", "content": system}, {"role": "user", "content": user}],
                temperature=temperature,
                timeout=timeout_seconds,
            )
        except openai.RateLimitError as error:
            raise ModelError(Cause.QUOTA, f"the provider limits us: {error.message}") from error
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ModelError(
                Cause.AUTH, "the provider refuses our key; check IOINTELLIGENCE_API_KEY"
            ) from error
        except openai.APIStatusError as error:
            cause = Cause.PROVIDER_DOWN if error.status_code >= 500 else Cause.TASK
            raise ModelError(
                cause, f"the provider answered {error.status_code}: {error.message}"[:500]
            ) from error
        except openai.APIError as error:
            raise ModelError(
                Cause.PROVIDER_DOWN, f"the provider cannot be reached: {error.message}"
            ) from error
        text = answer.choices[0].message.content if answer.choices else None
        if not text:
            raise ModelError(Cause.TASK, "the model answered with nothing")
        usage = answer.usage
        return Completion(
            text=text,
            model=answer.model,
            tokens_in=usage.prompt_tokens if usage else 0,
            tokens_out=usage.completion_tokens if usage else 0,
        )

    def _connected(self) -> "AsyncOpenAI":
        if self._client is None:
            import openai

            self._client = openai.AsyncOpenAI(
                base_url=self._base_url, api_key=self._api_key.reveal(), max_retries=0
            )
        return self._client


async def _retrying(call: Callable[[], Awaitable[Completion]]) -> Completion:
    async for attempt in stamina.retry_context(
        on=lambda e: isinstance(e, ModelError) and e.cause in {Cause.PROVIDER_DOWN, Cause.QUOTA},
        attempts=_ATTEMPTS_MAX,
        wait_initial=0.2,
        wait_max=2.0,
    ):
        with attempt:
            return await call()
    raise AssertionError("unreachable")
