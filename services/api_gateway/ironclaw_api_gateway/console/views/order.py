"""One order: what was asked, each attempt, what it made and changed, what the gates said, why it waits."""

from typing import Any

import msgspec

from ironclaw_api_gateway.console.markup import diff_lines, image_type, markdown, plain
from ironclaw_api_gateway.console.pages import (
    Action,
    Asked,
    Context,
    Download,
    Fetch,
    Form,
    Fragment,
    Pages,
    View,
)
from ironclaw_api_gateway.orders import Orders
from ironclaw_chassis.client import ServiceClient
from ironclaw_contracts.artifacts import AAR_FILE
from ironclaw_contracts.endpoints import duty_officer, integration, ledger, vault
from ironclaw_contracts.errors import BadRequest, NotFound, Problem
from ironclaw_contracts.events import Event, EventType
from ironclaw_contracts.payloads import GateResult
from ironclaw_contracts.snapshots import OrderSnapshot
from ironclaw_contracts.transitions import TERMINAL_PHASES

_EVENTS = 500
_TEXT_TYPES = (
    "text/",
    "application/json",
    "application/xml",
    "application/yaml",
    "application/toml",
    "image/svg",
)
_GATED = (EventType.INTEGRATION_PASSED, EventType.INTEGRATION_FAILED)


def add_order(pages: Pages, client: ServiceClient, orders: Orders) -> None:
    """Register the page of an order and of its artifacts."""

    async def gather(asked: Asked) -> Context:
        order_id = asked.path["order_id"]
        view = await client.call(ledger.GET_ORDER, order_id=order_id)
        order = view.order
        ended = order.phase in TERMINAL_PHASES
        query = ledger.EventsQuery(order_id=order_id, limit=_EVENTS)
        events = (await client.call(ledger.LIST_EVENTS, query=query)).events
        return {
            "order": order,
            "lease": view.lease,
            "why": None if ended else await client.call(ledger.WHY_ORDER, order_id=order_id),
            "order_json": _pretty(order.order),
            "gates": _gates(events),
            "events": events[::-1],
            "aar": await _remembered(asked, f"aar {order.commit_sha}", _aar(orders, order)),
            "diff": await _remembered(
                asked, f"diff {order.merge_commit or order.commit_sha}", _diff(orders, order)
            ),
            "salvage": await _salvage(client, asked, order),
            "run_id": order.run_id,
            "live": not ended,
        }

    async def artifact(asked: Asked) -> Context:
        order_id, path = asked.path["order_id"], asked.query.get("path", "")
        order = (await client.call(ledger.GET_ORDER, order_id=order_id)).order
        found = next((a for a in order.artifacts if a.path == path), None)
        if found is None:
            raise NotFound(f"order {order_id} has no artifact {path!r}")
        content = (await orders.artifact(order_id, path)).content
        return {"order": order, "artifact": found, **_shown(found.type, path, content)}

    async def output(asked: Asked) -> Context:
        content = await client.call(integration.READ_OUTPUT, output_id=asked.path["output_id"])
        return {"output_id": asked.path["output_id"], "body": plain(content.decode("utf-8", "replace"))}

    async def decide(asked: Asked, form: Form) -> Fragment:
        if form.get("decision") not in {"approve", "refuse"}:
            raise BadRequest("decision: approve or refuse")
        decision = integration.Decision(
            approved=form["decision"] == "approve",
            decided_by=asked.visitor.key.name,
            note=form.get("note", "")[:1_000],
        )
        done = await client.call(integration.DECIDE, decision, order_id=asked.path["order_id"])
        return Fragment("order/decided.html", {"done": done})

    async def raw(asked: Asked) -> Download:
        found = await orders.artifact(asked.path["order_id"], asked.query.get("path", ""))
        kind = image_type(found.content) if asked.query.get("inline") else None
        return Download(found.content, found.name, kind)

    async def recover(asked: Asked, _: Form) -> Fragment:
        done = await client.call(duty_officer.RECOVER_ORDER, order_id=asked.path["order_id"])
        return Fragment("order/recovered.html", {"done": done})

    async def restore(asked: Asked, form: Form) -> Fragment:
        attempt = form.get("attempt", "")
        if not attempt.isdecimal():
            raise BadRequest(f"attempt is {attempt[:40]!r}: give a number")
        wanted = vault.Restoration(attempt=int(attempt))
        done = await client.call(vault.RESTORE_SALVAGE, wanted, order_id=asked.path["order_id"])
        return Fragment("order/restored.html", {"done": done})

    path = "/console/orders/{order_id:str}"
    pages.views += [
        View(
            path=path,
            name="order",
            gather=gather,
            parts=("head", "artifacts", "gates", "attempts", "report", "changes", "events"),
        ),
        View(path=f"{path}/artifact", name="order", gather=artifact, template="artifact.html"),
        View(
            path="/console/outputs/{output_id:str}",
            name="order",
            gather=output,
            template="output.html",
            operators=True,
        ),
    ]
    pages.fetches.append(Fetch(path=f"{path}/raw", fetch=raw))
    pages.actions += [
        Action(path=f"{path}/recover", act=recover, operators=True),
        Action(path=f"{path}/decide", act=decide, operators=True),
        Action(path=f"{path}/restore", act=restore, operators=True),
    ]


async def _remembered(asked: Asked, name: str, reading: Any) -> Any:
    """Await a reading once for each name; commits do not change."""
    if name in asked.memory:
        reading.close()
    else:
        asked.memory[name] = await reading
    return asked.memory[name]


async def _aar(orders: Orders, order: OrderSnapshot) -> str | None:
    try:
        content = (await orders.file(order, AAR_FILE)).content
    except NotFound:
        return None
    return _pretty_json(content)


async def _diff(orders: Orders, order: OrderSnapshot) -> Context | None:
    try:
        found = await orders.diff(order)
    except NotFound:
        return None
    lines, cut = diff_lines(found.patch)
    return {
        "base": found.base,
        "commit": found.commit,
        "paths": found.paths,
        "lines": lines,
        "cut": cut or found.truncated,
    }


async def _salvage(client: ServiceClient, asked: Asked, order: OrderSnapshot) -> Context | None:
    """Return what is kept of attempts that were not merged, for operators."""
    if not asked.visitor.operator or not order.history:
        return None
    name = f"salvage {len(order.history)}"
    if asked.memory.get(name) is None:
        try:
            detail = await client.call(
                vault.SHOW_SALVAGE, query=vault.SalvageQuery(), order_id=order.order_id
            )
        except Problem:
            return None
        lines, cut = diff_lines(detail.diff)
        asked.memory[name] = {"kept": detail.salvage, "lines": lines, "cut": cut or detail.truncated}
    return asked.memory[name]


def _gates(events: list[Event]) -> list[dict[str, Any]]:
    """Return what the gates said, the newest round first."""
    return [
        {
            "event": event,
            "passed": event.type is EventType.INTEGRATION_PASSED,
            "attempt": event.payload.get("attempt", 1),
            "reason": event.payload.get("reason"),
            "conflicts": event.payload.get("conflicts", []),
            "gates": [msgspec.convert(gate, GateResult) for gate in event.payload.get("gates", [])],
        }
        for event in reversed(events)
        if event.type in _GATED
    ]


def _shown(kind: str, path: str, content: bytes) -> Context:
    """Return how an artifact is shown: as a picture, as Markdown, as text, or not at all."""
    if image_type(content) is not None:
        return {"form": "image", "body": None}
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return {"form": "bytes", "body": None}
    if path.endswith((".md", ".markdown")) or kind == "text/markdown":
        return {"form": "markdown", "body": markdown(text), "source": plain(text)}
    if "\x00" in text and not kind.startswith(_TEXT_TYPES):
        return {"form": "bytes", "body": None}
    return {"form": "text", "body": plain(text)}


def _pretty(value: object) -> str:
    return _pretty_json(msgspec.json.encode(value))


def _pretty_json(content: bytes) -> str:
    try:
        return msgspec.json.format(content, indent=2).decode("utf-8", "replace")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content.decode("utf-8", "replace")
