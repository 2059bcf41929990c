"""One call to the provider, streamed: chunks in, a reply out, failures typed by cause."""

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from ironclaw_chassis.model.errors import ModelError
from ironclaw_chassis.model.messages import ModelRequest, Reply, ToolRequest
from ironclaw_contracts.enums import Cause

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_REPLY_CHARS_MAX = 4_000_000


async def stream_reply(client: "AsyncOpenAI", request: ModelRequest, *, timeout_seconds: float) -> Reply:
    """Make the call and gather its stream. Raises `ModelError` with the provider's own words."""
    import openai

    gathered = Gathered(request.model)
    try:
        async with asyncio.timeout(timeout_seconds):
            stream: Any = await client.chat.completions.create(**request.wire(), timeout=timeout_seconds)
            async with stream:
                async for chunk in stream:
                    gathered.take(chunk)
    except openai.APIStatusError as error:
        raise _refused(error) from error
    except TimeoutError as error:
        reason = f"the provider did not finish within {timeout_seconds:g} s"
        raise ModelError(Cause.PROVIDER_DOWN, reason, billed=True) from error
    except openai.APIConnectionError as error:
        raise ModelError(
            Cause.PROVIDER_DOWN, f"the provider cannot be reached: {error.message}", billed=gathered.began
        ) from error
    except openai.APIError as error:
        raise ModelError(
            Cause.PROVIDER_DOWN, f"the provider broke off: {error.message}", billed=True
        ) from error
    except (ValueError, TypeError, AttributeError, openai.OpenAIError) as error:
        # What the SDK raises for a stream that is none: anything may stand behind an endpoint.
        raise ModelError(
            Cause.PROVIDER_DOWN, f"the provider answered no stream of completions: {error}", billed=True
        ) from error
    except OSError as error:
        raise ModelError(Cause.PROVIDER_DOWN, f"the provider broke off: {error}", billed=True) from error
    return gathered.reply()


class Gathered:
    """A reply as far as it has come."""

    def __init__(self, model: str) -> None:
        self.began = False
        self._model = model
        self._text: list[str] = []
        self._characters = 0
        self._calls: dict[int, list[str]] = {}
        self._finish = ""
        self._usage: Any = None

    def take(self, chunk: Any) -> None:
        """Add one chunk. Raises `ModelError` when the answer grows beyond any bound."""
        self.began = True
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        for choice in (chunk.choices or [])[:1]:
            self._finish = choice.finish_reason or self._finish
            self._add(self._text, choice.delta.content)
            for piece in choice.delta.tool_calls or []:
                call = self._calls.setdefault(piece.index or 0, ["", "", ""])
                call[0] = piece.id or call[0]
                if piece.function is not None:
                    call[1] += piece.function.name or ""
                    call[2] += piece.function.arguments or ""
                    self._count(piece.function.arguments)

    def reply(self) -> Reply:
        """Return the whole reply. Raises `ModelError` when there is none."""
        if not self._finish:
            raise ModelError(
                Cause.PROVIDER_DOWN, "the provider's stream ended before its answer did", billed=True
            )
        text = "".join(self._text)
        calls = tuple(
            ToolRequest(call_id or f"call_{index}", name, arguments)
            for index, (call_id, name, arguments) in sorted(self._calls.items())
        )
        if not text and not calls:
            raise ModelError(Cause.TASK, "the model answered with nothing", billed=True)
        return Reply(
            text=text,
            model=self._model,
            tool_calls=calls,
            finish_reason=self._finish,
            tokens_in=self._usage.prompt_tokens if self._usage else 0,
            tokens_out=self._usage.completion_tokens if self._usage else 0,
            counted=self._usage is not None,
        )

    def _add(self, parts: list[str], piece: str | None) -> None:
        if piece:
            parts.append(piece)
            self._count(piece)

    def _count(self, piece: str | None) -> None:
        self._characters += len(piece or "")
        if self._characters > _REPLY_CHARS_MAX:
            raise ModelError(Cause.TASK, "the model's answer has no end; it was cut off", billed=True)


def _refused(error: Any) -> ModelError:
    """Return the error for an HTTP status."""
    status, wait = error.status_code, _retry_after(error.response.headers)
    if status == 429:
        return ModelError(Cause.QUOTA, f"the provider limits us: {error.message}", retry_after_seconds=wait)
    if status in {401, 403}:
        return ModelError(Cause.AUTH, "the provider refuses our key; check IOINTELLIGENCE_API_KEY")
    cause = Cause.PROVIDER_DOWN if status >= 500 else Cause.TASK
    return ModelError(cause, f"the provider answered {status}: {error.message}", retry_after_seconds=wait)


def _retry_after(headers: Any) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or a date (RFC 9110, 10.2.3)."""
    said = headers.get("retry-after", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(said)
    except ValueError:
        return None
    # A date without a zone is in UTC (RFC 5322, 3.3: `-0000`).
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
