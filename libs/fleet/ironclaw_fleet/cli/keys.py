"""API keys: `ironclaw keys create | list | revoke`."""

from cyclopts import App

from ironclaw_contracts.access import KeyRequest
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.enums import Role
from ironclaw_contracts.spending import Ceiling
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, ago, print_json, print_table, say
from ironclaw_fleet.cli.session import gateway

keys = App(name="keys", help="API keys of people and programs.")


@keys.command
async def create(
    name: Identifier,
    *,
    role: Role = Role.USER,
    rate: int = 600,
    burst: int = 100,
    spend_usd: float | None = None,
    spend_tokens: int | None = None,
    options: Options = PLAIN,
) -> None:
    """Make a key; its secret is shown this once.

    Args:
        name: Whose key it is.
        role: user, or operator.
        rate: Calls a minute.
        burst: Calls at once.
        spend_usd: US dollars that the model calls of all its runs may cost.
        spend_tokens: Tokens that they may take.
    """
    spend = Ceiling(tokens=spend_tokens, usd=spend_usd)
    request = KeyRequest(name=name, role=role, rate_per_minute=rate, burst=burst, spend=spend)
    async with gateway() as client:
        made = await client.call(api.CREATE_KEY, request)
    print_json(made) if options.json else say(
        f"{made.secret}\nkey {made.key.key_id}: {role} {name}; shown this once"
    )


@keys.command(name="list")
async def list_(*, options: Options = PLAIN) -> None:
    """List keys, without secrets."""
    async with gateway() as client:
        found = await client.call(api.LIST_KEYS)
    if options.json:
        print_json(found)
        return
    print_table(
        ("key", "name", "role", "rate", "age", "state"),
        [
            (
                k.key_id,
                k.name,
                k.role,
                k.rate_per_minute,
                ago(k.created_at),
                "revoked" if k.revoked_at else "valid",
            )
            for k in found.keys
        ],
    )


@keys.command
async def revoke(key_id: Identifier, *, options: Options = PLAIN) -> None:
    """Revoke a key; it is refused within two seconds.

    Args:
        key_id: The key, as `ironclaw keys list` names it.
    """
    async with gateway() as client:
        found = await client.call(api.REVOKE_KEY, key_id=key_id)
    print_json(found) if options.json else say(f"key {key_id} is revoked")
