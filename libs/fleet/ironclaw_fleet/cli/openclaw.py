"""The OpenClaw validator: its nodes, their keys and intents, what waits for a person, what is verified."""

from typing import Literal

from cyclopts import App

from ironclaw_chassis.node.folder import NodeFolder, node_name
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.openclawdbot_proof import (
    AuditedMessage,
    AuditQuery,
    Registration,
    Retirement,
    ReviewDecision,
)
from ironclaw_contracts.enums import Service
from ironclaw_contracts.poi.envelopes import ROLE_OF
from ironclaw_contracts.poi.messages import NodeRole
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, ago, print_json, print_table, say
from ironclaw_fleet.cli.session import Failed, gateway
from ironclaw_fleet.statedir import StateDirectory

openclaw = App(name="openclaw", help="Nodes, intents and the validator's receipts.")


@openclaw.command
async def nodes(*, options: Options = PLAIN) -> None:
    """List the registered nodes with their status now."""
    async with gateway() as client:
        found = await client.call(api.LIST_NODES)
    if options.json:
        print_json(found)
        return
    print_table(
        ("node", "label", "role", "status", "seq", "heard", "reputation"),
        [
            (
                n.node_id,
                n.label,
                n.role,
                n.status,
                n.seq_no or "",
                ago(n.heard_at) if n.heard_at else "",
                n.reputation,
            )
            for n in found.nodes
        ],
    )


@openclaw.command
async def intents(intent_id: Identifier, *, options: Options = PLAIN) -> None:
    """Show all that was said of an intent.

    Args:
        intent_id: The intent, as `ironclaw run RUN --json` names it.
    """
    async with gateway() as client:
        found = await client.call(api.GET_INTENT, intent_id=intent_id)
    print_json(found) if options.json else _print(found.messages)


@openclaw.command
async def review(
    ack_id: Identifier | None = None,
    decision: Literal["accepted", "rejected"] | None = None,
    *,
    options: Options = PLAIN,
) -> None:
    """List what waits for a person; with an ACK and a decision, decide it.

    Args:
        ack_id: The ACK to decide about.
        decision: accepted or rejected.
    """
    async with gateway() as client:
        if ack_id is not None and decision is not None:
            made = await client.call(api.DECIDE_REVIEW, ReviewDecision(decision), ack_id=ack_id)
            print_json(made) if options.json else say(f"{made.ack.ack_id}: {made.ack.status}")
            return
        found = await client.call(api.LIST_REVIEWS)
    print_json(found) if options.json else _print(found.messages)


@openclaw.command
async def register(
    node_id: Identifier,
    role: NodeRole,
    public_key: str,
    *,
    key_version: str = "v1",
    label: str = "",
) -> None:
    """Register a node by its did:key, or one more version of its key.

    Args:
        node_id: The node.
        role: What it is to the validator.
        public_key: Its did:key.
        key_version: Which of its keys.
        label: What people call it.
    """
    request = Registration(
        node_id=node_id, role=role, public_key_ref=public_key, key_version=key_version, label=label
    )
    async with gateway() as client:
        await client.call(api.REGISTER_NODE, request)
    say(f"{node_id}: {role}, key {key_version}")


@openclaw.command
async def retire(node_id: Identifier, key_version: str) -> None:
    """Retire a key: it verifies only what was signed before now.

    Args:
        node_id: The node.
        key_version: Which of its keys.
    """
    async with gateway() as client:
        await client.call(api.RETIRE_KEY, Retirement(key_version), node_id=node_id)
    say(f"{node_id}: key {key_version} is retired")


@openclaw.command(name="rotate-key")
async def rotate_key(service: Service, *, port: int = 0) -> None:
    """Give a service's node a new key: register it, use it, retire the old one.

    Run it where the service runs, since the key lies in its state directory.

    Args:
        service: Whose node.
        port: The port of one more process of the service, when it is not on the standard one.
    """
    folder = NodeFolder.of(StateDirectory.locate().path, node_name(service, port), ROLE_OF[service])
    if not folder.path.exists():
        raise Failed(f"there is no node in {folder.path}; run this where the service runs")
    old = folder.ensure()
    new, staged = folder.stage_next()
    async with gateway() as client:
        registration = Registration(
            node_id=new.node_id,
            role=ROLE_OF[service],
            public_key_ref=new.did,
            key_version=new.key_version,
            label=folder.path.name,
        )
        await client.call(api.REGISTER_NODE, registration)
        folder.adopt(staged)
        await client.call(api.RETIRE_KEY, Retirement(old.key_version), node_id=old.node_id)
    say(f"{folder.path.name}: {old.key_version} is retired, {new.key_version} signs")


@openclaw.command
async def verify(*, options: Options = PLAIN) -> None:
    """Check every stored signature again, here; exits with 1 and names the first that does not hold."""
    from ironclaw_contracts.poi import verification

    messages: list[AuditedMessage] = []
    keys: dict[tuple[str, str], str] = {}
    async with gateway() as client:
        validator_id = (await client.call(api.GET_VALIDATOR)).validator_id
        after: str | None = None
        while True:
            page = await client.call(api.READ_AUDIT, query=AuditQuery(after=after))
            messages += page.messages
            keys |= {(key.node_id, key.version): key.public_key_ref for key in page.keys}
            after = page.next_after
            if after is None:
                break
    checked = verification.verify(messages, keys, validator_id)
    if options.json:
        print_json(checked)
    else:
        say(f"{checked.messages} messages of {validator_id}: {checked.fault or 'every signature holds'}")
    if checked.fault is not None:
        raise Failed(f"ACK {checked.ack_id}: {checked.fault}")


def _print(messages: list[AuditedMessage]) -> None:
    if not messages:
        say("nothing there")
        return
    print_table(
        ("ack", "kind", "node", "status", "age", "notes"),
        [
            (
                m.receipt.ack.ack_id,
                m.kind,
                m.node_id,
                m.receipt.ack.status,
                ago(m.at),
                "; ".join(m.receipt.ack.validation_notes),
            )
            for m in messages
        ],
    )
