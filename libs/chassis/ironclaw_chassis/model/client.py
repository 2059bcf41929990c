"""Ask a model: bounded at once, retried, paid for, recorded or replayed."""

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import stamina
import structlog

from ironclaw_chassis.model.cassette import Cassette
from ironclaw_chassis.model.errors import ModelError
from ironclaw_chassis.model.messages import Message, ModelRequest, Reply
from ironclaw_chassis.model.metrics import MODEL_COST, MODEL_SECONDS, MODEL_TOKENS
from ironclaw_chassis.model.payer import Payer, Purse
from ironclaw_chassis.model.prices import Price, Prices
from ironclaw_chassis.model.streaming import stream_reply
from ironclaw_chassis.secret import Secret
from ironclaw_chassis.tracing import span
from ironclaw_contracts.enums import Cause

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = structlog.get_logger()

PROVIDER = "io.intelligence"

_SETTLED_SECONDS = 0.3
_LAST_SETTLEMENTS_SECONDS = 2.0
_ATTEMPTS_MAX = 3
_RETRY_AFTER_SECONDS_MAX = 30.0
"""A provider that asks for a longer pause is held behind the patrol's breaker instead of a waiting unit."""
_RETRIED = frozenset({Cause.PROVIDER_DOWN, Cause.QUOTA})


class ModelClient:
    """One provider. The SDK is imported at the first call, since it costs half a second.

    `concurrency` calls are under way at once in this process; the others wait.
    """

    def __init__(
        self,
        base_url: str,
        api_key: Secret,
        purse: Purse,
        *,
        prices: Prices,
        output_tokens_max: int,
        concurrency: int,
        cassette: Cassette | None = None,
    ) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._purse = purse
        self._prices = prices
        self._output_tokens_max = output_tokens_max
        self._slots = asyncio.Semaphore(concurrency)
        self._settlements: set[asyncio.Task[None]] = set()
        self._cassette = cassette
        self._client: AsyncOpenAI | None = None

    @property
    def available(self) -> bool:
        """Whether there is anything to ask: a key, or recorded answers."""
        replays = self._cassette is not None and self._cassette.mode == "replay"
        return replays or bool(self._api_key.reveal())

    @property
    def output_tokens_max(self) -> int:
        """The longest answer that is asked for."""
        return self._output_tokens_max

    async def complete(
        self, model: str, system: str, user: str, payer: Payer, *, temperature: float, timeout_seconds: float
    ) -> Reply:
        """Ask for one text. Raises as `ask` does, and `ModelError` for an answer without text."""
        request = ModelRequest(
            model=model,
            messages=(Message(role="system", content=system), Message(role="user", content=user)),
            temperature=temperature,
            output_tokens_max=self._output_tokens_max,
        )
        reply = await self.ask(request, payer, timeout_seconds=timeout_seconds)
        if not reply.text:
            raise ModelError(Cause.TASK, "the model answered without a text")
        return reply

    async def ask(self, request: ModelRequest, payer: Payer, *, timeout_seconds: float) -> Reply:
        """Make one call, each try of it reserved before and settled after.

        Trouble of the provider is tried again, after the pause that it asks for. Raises `ModelError`, and
        the ledger's `Problem` when nothing can be reserved because it is away.
        """
        async for attempt in stamina.retry_context(
            on=_retry, attempts=_ATTEMPTS_MAX, wait_initial=0.2, wait_max=2.0, timeout=timeout_seconds
        ):
            with attempt:
                return await self._paid(request, payer, timeout_seconds)
        raise AssertionError("unreachable")

    async def aclose(self) -> None:
        """Close the connections, after what is still to be settled."""
        if self._settlements:
            await asyncio.wait(self._settlements, timeout=_LAST_SETTLEMENTS_SECONDS)
        if self._client is not None:
            await self._client.close()

    async def _paid(self, request: ModelRequest, payer: Payer, timeout_seconds: float) -> Reply:
        price = self._prices.of(request.model)
        tokens_in, tokens_out = request.input_tokens_max(), request.output_tokens_max
        worst = _cost(price, tokens_in, tokens_out)
        async with self._slots:
            reservation = await self._purse.reserve(payer, tokens_in + tokens_out, worst)
            # What is not known to have cost less is charged as reserved, a cancelled call too.
            spent = (tokens_in + tokens_out, worst or 0)
            try:
                reply = await self._measured(request, timeout_seconds)
                if reply.counted:
                    cost = _cost(price, reply.tokens_in, reply.tokens_out) or 0
                    reply = msgspec.structs.replace(reply, cost_microusd=cost)
                    spent = (reply.tokens_in + reply.tokens_out, cost)
                else:
                    reply = msgspec.structs.replace(
                        reply, tokens_in=tokens_in, tokens_out=tokens_out, cost_microusd=worst or 0
                    )
            except ModelError as error:
                spent = spent if error.billed else (0, 0)
                raise
            finally:
                MODEL_COST.labels(request.model).inc(spent[1] / 1_000_000)
                await self._settle(reservation, spent)
        MODEL_TOKENS.labels(request.model, "in").inc(reply.tokens_in)
        MODEL_TOKENS.labels(request.model, "out").inc(reply.tokens_out)
        return reply

    async def _settle(self, reservation: str, spent: tuple[int, int]) -> None:
        """Settle, but let work that is done not wait for a ledger that is away: its lease runs on."""
        task = asyncio.create_task(self._purse.settle(reservation, *spent), name="settlement")
        self._settlements.add(task)
        task.add_done_callback(self._settlements.discard)
        await asyncio.wait({task}, timeout=_SETTLED_SECONDS)

    async def _measured(self, request: ModelRequest, timeout_seconds: float) -> Reply:
        about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": request.model}
        started, outcome = time.perf_counter(), "cancelled"
        with span(f"chat {request.model}", "client", attributes=about) as traced:
            try:
                reply = await self._once(request, timeout_seconds)
                outcome = "ok"
            except ModelError as error:
                outcome = error.cause.value
                raise
            finally:
                MODEL_SECONDS.labels(request.model, outcome).observe(time.perf_counter() - started)
            if reply.counted:
                traced.set("gen_ai.usage.input_tokens", reply.tokens_in)
                traced.set("gen_ai.usage.output_tokens", reply.tokens_out)
        return reply

    async def _once(self, request: ModelRequest, timeout_seconds: float) -> Reply:
        cassette = self._cassette
        if cassette is not None and cassette.mode == "replay":
            return cassette.replay(request)
        try:
            reply = await stream_reply(self._connected(), request, timeout_seconds=timeout_seconds)
        except ModelError as error:
            raise error.told(self._api_key) from None  # the cause has the provider's words as they came
        if cassette is not None:
            await asyncio.to_thread(cassette.record, request, reply)
        return reply

    def _connected(self) -> "AsyncOpenAI":
        if self._client is None:
            import openai

            self._client = openai.AsyncOpenAI(
                base_url=self._base_url, api_key=self._api_key.reveal(), max_retries=0
            )
        return self._client


def _cost(price: Price | None, tokens_in: int, tokens_out: int) -> int | None:
    return None if price is None else price.microusd(tokens_in, tokens_out)


def _retry(error: Exception) -> bool | float:
    """Say whether to try again: yes, no, or after so many seconds."""
    if not isinstance(error, ModelError) or error.cause not in _RETRIED:
        return False
    wait = error.retry_after_seconds
    if wait is None:
        return True
    return wait if 0 < wait <= _RETRY_AFTER_SECONDS_MAX else wait == 0
