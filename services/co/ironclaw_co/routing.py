"""Which profile an order goes to, and with which probability it was chosen. Pure but for reading the ledger.

The promoted policy comes from the ledger, never from the learning service: routing goes on while that is
down.
"""

import hashlib

from msgspec import Struct

from ironclaw_chassis.ledger import LedgerClient
from ironclaw_contracts.artifacts import Profile
from ironclaw_contracts.errors import BadRequest
from ironclaw_contracts.events import EventType, typed_payload
from ironclaw_contracts.payloads import PolicyUpdated
from ironclaw_contracts.policy import PolicyDocument, PolicyParameters, Routing
from ironclaw_contracts.snapshots import RunSnapshot


class Routed(Struct, frozen=True):
    """The profile of one order and how it came to it."""

    profile: Profile
    routing: Routing


class RoutingTable(Struct, frozen=True, kw_only=True):
    """What orders are routed by. `default` is the profile of the built-in policy, with its model."""

    default: Profile
    version: int = 0
    document: PolicyDocument | None = None
    parameters: PolicyParameters | None = None

    def after(self, step: PolicyUpdated) -> "RoutingTable":
        """Return the table after one more step in the life of the policy."""
        match step.action:
            case "configured":
                return RoutingTable(
                    default=self.default,
                    version=self.version,
                    document=self.document,
                    parameters=step.parameters,
                )
            case "proposed":
                return self
            case "promoted" | "rolled_back" | "demoted":
                return RoutingTable(
                    default=self.default,
                    version=step.version,
                    document=step.document,
                    parameters=self.parameters,
                )

    def route(self, run: RunSnapshot, task_type: str, order_id: str) -> Routed:
        """Return the profile of an order. The same order under the same table always gets the same one.

        Raises `BadRequest` when the run names a profile that there is not.
        """
        if run.profile is not None:
            reason = f"a replay of run {run.replays}" if run.replays else "the request names it"
            basis = "replay" if run.replays else "pinned"
            routing = Routing(policy_version=self.version, basis=basis, reason=reason)
            return Routed(self.named(run.profile), routing)
        if self.document is None:
            routing = Routing(
                policy_version=0, basis="default", reason="no policy was promoted", propensity=1.0
            )
            return Routed(self.default, routing)
        shares = self.document.shares(task_type)
        name = draw(shares, f"{self.document.parameters.seed}/{self.version}/{order_id}")
        routing = Routing(
            policy_version=self.version,
            basis="policy",
            reason=self._reason(task_type, name, shares[name]),
            propensity=shares[name],
        )
        return Routed(self.named(name), routing)

    def named(self, name: str) -> Profile:
        """Return a profile by its name. Raises `BadRequest` naming those that there are."""
        known = {self.default.name: self.default}
        for given in (self.parameters, self.document.parameters if self.document is not None else None):
            for profile in given.profiles if given is not None else []:
                known[profile.name] = profile if profile.model else known.get(profile.name, profile)
        if name not in known:
            raise BadRequest(
                f"profile {name!r} is not known; there are {', '.join(sorted(known))}"
                " (IRONCLAW_LEARNING_PROFILES)"
            )
        return known[name]

    def _reason(self, task_type: str, name: str, share: float) -> str:
        tasks = self.document.tasks if self.document is not None else []
        task = next((task for task in tasks if task.task_type == task_type), None)
        if task is None:
            return f"version {self.version} has no figures for {task_type} yet; {name} gets {share:.1%} of it"
        if task.recommended == name:
            return f"version {self.version} recommends {name} for {task_type}: {task.reasons[0]}"[:2_000]
        return (
            f"explored: version {self.version} recommends {task.recommended} for {task_type},"
            f" and gives {name} {share:.1%}"
        )


def draw(shares: dict[str, float], key: str) -> str:
    """Return one name with the probability of its share, always the same for one key."""
    point = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64
    names = sorted(name for name, share in shares.items() if share > 0)
    for name in names:
        point -= shares[name]
        if point < 0:
            return name
    return names[-1]


class Router:
    """Keeps the table up with the ledger."""

    def __init__(self, ledger: LedgerClient, default: Profile) -> None:
        self._ledger = ledger
        self._table = RoutingTable(default=default)
        self._seq = 0

    async def table(self) -> RoutingTable:
        """Return the table as of now."""
        async for event in self._ledger.events([EventType.POLICY_UPDATED], after=self._seq):
            step = typed_payload(event.type, event.payload)
            if event.seq > self._seq and isinstance(step, PolicyUpdated):
                self._table, self._seq = self._table.after(step), event.seq
        return self._table
