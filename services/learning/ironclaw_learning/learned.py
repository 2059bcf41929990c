"""What is remembered: figures for ever, outcomes that fade, orders under way, and the policy's own life.

Its size is bounded by task types, profiles and open orders, never by the number of events.
"""

from datetime import datetime

import msgspec
from msgspec import Struct, field

from ironclaw_contracts.payloads import PolicyUpdated
from ironclaw_contracts.policy import Evaluation, PolicyDocument, PolicyParameters
from ironclaw_learning.sketch import Bins

FORM = 3
"""Changes with the shape or the meaning of what is remembered: another form is derived anew."""


class Cell(Struct, kw_only=True):
    """Counts of one (task type, profile) since the beginning."""

    merged: int = 0
    failed: int = 0
    excluded: int = 0
    retries: int = 0
    gate_failures: int = 0
    mismatches: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_microusd: int = 0
    accepted: int = 0
    corrected: int = 0
    latency: Bins = field(default_factory=dict[int, int])


class Memory(Struct, kw_only=True):
    """The fading outcomes of one (task type, profile): sums over orders, weighted by how recent they are.

    With reward r (1 merged, 0 failed) and propensity p: `n` = Σ 1, `reward` = Σ r, `inverse` = Σ 1/p,
    `inverse_square` = Σ 1/p², `reward_inverse` = Σ r/p. They are all that IPS and doubly robust estimates of
    any policy need, since a policy here depends on nothing but the task type.
    """

    n: float = 0.0
    reward: float = 0.0
    inverse: float = 0.0
    inverse_square: float = 0.0
    reward_inverse: float = 0.0

    def fade(self, by: float) -> None:
        """Let everything count less."""
        self.n *= by
        self.reward *= by
        self.inverse *= by
        self.inverse_square *= by
        self.reward_inverse *= by

    def add(self, reward: int, propensity: float) -> None:
        """Remember one outcome."""
        weight = 1 / propensity
        self.n += 1
        self.reward += reward
        self.inverse += weight
        self.inverse_square += weight * weight
        self.reward_inverse += reward * weight

    def take_back(self, propensity: float) -> None:
        """Turn one success into a failure."""
        weight = 1 / propensity
        self.reward = max(0.0, self.reward - 1)
        self.reward_inverse = max(0.0, self.reward_inverse - weight)


class Tally(Struct):
    """The fading outcomes of a task type under the version in force."""

    n: float = 0.0
    reward: float = 0.0


class TaskMemory(Struct, kw_only=True):
    """One task type, by profile. `weight` and `weight_square` are Σ w and Σ w² over all outcomes."""

    cells: dict[str, Cell] = field(default_factory=dict[str, Cell])
    memory: dict[str, Memory] = field(default_factory=dict[str, Memory])
    weight: float = 0.0
    weight_square: float = 0.0
    live: Tally = field(default_factory=Tally)

    def cell(self, profile: str) -> Cell:
        """Return the counts of a profile."""
        return self.cells.setdefault(profile, Cell())

    def remembered(self, profile: str) -> Memory:
        """Return the outcomes of a profile."""
        return self.memory.setdefault(profile, Memory())


class OpenOrder(Struct, kw_only=True):
    """An order that has not ended."""

    task_type: str
    profile: str
    propensity: float | None
    policy_version: int
    started_at: datetime | None = None
    retries: int = 0
    gate_failures: int = 0
    mismatches: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost_microusd: int = 0
    blocked: bool = False


class InForce(Struct, frozen=True):
    """A policy that was put in force. No document means the built-in one."""

    version: int = 0
    document: PolicyDocument | None = None
    evaluation: Evaluation | None = None

    def shares(self, task_type: str, default_profile: str) -> dict[str, float]:
        """Return the probability of each profile for a type of order."""
        if self.document is None:
            return {default_profile: 1.0}
        return self.document.shares(task_type)


class Learned(Struct, kw_only=True):
    """Everything, as of the event `seq`. `history` has the versions in force, the present one last."""

    seq: int = 0
    tasks: dict[str, TaskMemory] = field(default_factory=dict[str, TaskMemory])
    open: dict[str, OpenOrder] = field(default_factory=dict[str, OpenOrder])
    parameters: PolicyParameters | None = None
    proposed_version: int = 0
    proposal: PolicyUpdated | None = None
    history: list[InForce] = field(default_factory=lambda: [InForce()])
    changes: int = 0
    held: bool = False
    """A person took a policy back: from then on a person promotes, until one has."""

    @property
    def in_force(self) -> InForce:
        """The policy by which orders are routed."""
        return self.history[-1]

    @property
    def given(self) -> PolicyParameters:
        """The parameters, the defaults before any were recorded."""
        return self.parameters or PolicyParameters()

    def task(self, task_type: str) -> TaskMemory:
        """Return what is remembered of a type of order."""
        return self.tasks.setdefault(task_type, TaskMemory())


def encode(learned: Learned) -> bytes:
    """Return what is remembered as it is stored: the same events give the same bytes."""
    return msgspec.json.encode(learned)


def decode(stored: bytes | str) -> Learned:
    """Return what was stored. Raises `msgspec.ValidationError` when it has another form."""
    return msgspec.json.decode(stored, type=Learned)
