"""task.md: the order as a person or an agent reads it. Pure."""

import msgspec

from ironclaw_contracts.artifacts import AAR_FILE, ORDER_FILE, Order


def task_text(order: Order, title_length_max: int = 100) -> str:
    """Return the Markdown that explains an order to whoever works in its worktree."""
    title = (
        order.objective.strip().splitlines()[0][:title_length_max] if order.objective.strip() else order.type
    )
    inputs = msgspec.json.format(msgspec.json.encode(order.inputs), indent=2).decode()
    policy = order.constraints.tool_policy
    return f"""# {title}

Order `{order.order_id}` of run `{order.run_id}` in theater `{order.theater_id}`, type `{order.type}`.

## Objective

{order.objective.strip()}

## Inputs

```json
{inputs}
```

## Rules

- Time: {order.constraints.budget_seconds} seconds. Network: {"yes" if policy.network else "no"}.
- Write only under: {", ".join(policy.fs_allowlist)}.
- Put results under `outputs/`{_named_output(order)}.
- Finish by writing `{AAR_FILE}` (order_id, status, completed_at, summary, artifacts), then commit it all.
- `{ORDER_FILE}` holds the order in full.
"""


def _named_output(order: Order) -> str:
    output = order.inputs.get("output")
    return f", in `{output}`" if isinstance(output, str) and output else ""
