"""Closed sets: statuses as the seed spells them, order phases, services and roles."""

from enum import StrEnum


class RunStatus(StrEnum):
    """Seed, section 0."""

    OPEN = "OPEN"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class OrderStatus(StrEnum):
    """Seed, section 0: the coarse status that foreign readers know."""

    QUEUED = "QUEUED"
    CLAIMED = "CLAIMED"
    RUNNING = "RUNNING"
    BLOCKED = "BLOCKED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class OrderPhase(StrEnum):
    """Where an order stands, fine enough that each phase has exactly one next mover."""

    PLANNED = "PLANNED"
    ENQUEUED = "ENQUEUED"
    CLAIMED = "CLAIMED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    READY = "READY"
    INTEGRATING = "INTEGRATING"
    GATED = "GATED"
    HELD = "HELD"
    REJECTED = "REJECTED"
    BLOCKED = "BLOCKED"
    ATTEMPT_FAILED = "ATTEMPT_FAILED"
    INTEGRATED = "INTEGRATED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class WorktreeState(StrEnum):
    """The life of the worktree of an order's current attempt."""

    CREATED = "CREATED"
    READY = "READY"
    ARCHIVED = "ARCHIVED"
    REMOVED = "REMOVED"


class Severity(StrEnum):
    """Seed, section 0."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class Cause(StrEnum):
    """Why an attempt failed; only `task` uses up the retry cap."""

    TASK = "task"
    PROVIDER_DOWN = "provider_down"
    QUOTA = "quota"
    DISK = "disk"
    AUTH = "auth"
    POLICY = "policy"
    LOST_UNIT = "lost_unit"


class Service(StrEnum):
    """The services of the fleet; the name is also the issuer and audience of service tokens."""

    API_GATEWAY = "api_gateway"
    CO = "co"
    LEDGER = "ledger"
    VAULT = "vault"
    WORKER = "worker"
    OBSERVER = "observer"
    INTEGRATION = "integration"
    DUTY_OFFICER = "duty_officer"
    SENTINEL = "sentinel"
    LEARNING = "learning"
    OPENCLAWDBOT = "openclawdbot"


class Role(StrEnum):
    """What a person's API key allows at the gateway."""

    USER = "user"
    OPERATOR = "operator"


SERVICE_PORTS: dict[Service, int] = {service: 8080 + index for index, service in enumerate(Service)}
"""Port of each service on one machine (DESIGN, the fleet)."""
