"""The `model` executor: one call to a model, or the offline provider where no key is configured."""

import asyncio
from typing import Protocol

from msgspec import Struct

from ironclaw_chassis.model import PROVIDER, ModelClient
from ironclaw_contracts.artifacts import ModelUse, Order
from ironclaw_worker.material import Document
from ironclaw_worker.offline.respond import respond
from ironclaw_worker.prompt import SYSTEM, user_message

_TEMPERATURE = 0.2
OFFLINE_PROVIDER = "offline"


class Work(Struct, frozen=True):
    """What an executor made: the text, who made it, and one sentence about it."""

    text: str
    model: ModelUse
    summary: str
    notes: tuple[str, ...] = ()


class Executor(Protocol):
    """Does the work of one order."""

    name: str

    async def execute(self, order: Order, task: str, material: list[Document]) -> Work:
        """Return the work; `task` is the text of task.md. Raises `ModelError`; the caller bounds the time."""
        ...


class ModelExecutor:
    """One completion from a provider."""

    name = "model"

    def __init__(self, client: ModelClient, default_model: str) -> None:
        self._client = client
        self._default_model = default_model

    async def execute(self, order: Order, task: str, material: list[Document]) -> Work:
        """Ask the profile's model, or the default one."""
        answer = await self._client.complete(
            order.profile.model or self._default_model,
            SYSTEM,
            user_message(order, task, material),
            temperature=_TEMPERATURE,
            timeout_seconds=float(order.constraints.budget_seconds),
        )
        use = ModelUse(
            provider=PROVIDER,
            name=answer.model,
            temperature=_TEMPERATURE,
            tokens_in=answer.tokens_in,
            tokens_out=answer.tokens_out,
        )
        return Work(text=answer.text, model=use, summary=_first_line(answer.text))


class OfflineExecutor:
    """Extracts and outlines, made here without a model, and labelled so."""

    name = "offline"

    async def execute(self, order: Order, task: str, material: list[Document]) -> Work:
        """Respond deterministically, off the event loop."""
        reply = await asyncio.to_thread(respond, order.type, order.objective, material)
        return Work(
            text=reply.text,
            model=ModelUse(provider=OFFLINE_PROVIDER, name=reply.kind),
            summary=_first_line(reply.text),
            notes=("made by the offline provider, without a model",),
        )


def _first_line(text: str) -> str:
    lines = (line.strip("# *-").strip() for line in text.splitlines())
    return next((line for line in lines if line), "no text")[:500]
