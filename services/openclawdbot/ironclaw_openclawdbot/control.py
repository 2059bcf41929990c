"""What really runs, as clusters and engines of the command center. Pure."""

from typing import Any, Literal

from msgspec import Struct

from ironclaw_contracts.artifacts import Constraints, Profile
from ironclaw_contracts.commands import TheaterPolicy
from ironclaw_contracts.enums import Service

_TASKS: dict[Service, str] = {
    Service.API_GATEWAY: "takes chats in and answers them",
    Service.CO: "plans, dispatches and synthesizes",
    Service.LEDGER: "keeps the events and their chain",
    Service.VAULT: "keeps repositories and worktrees",
    Service.WORKER: "runs units",
    Service.OBSERVER: "validates work and patrols theaters",
    Service.INTEGRATION: "gates and merges",
    Service.DUTY_OFFICER: "patrols the fleet and recovers orders",
    Service.SENTINEL: "audits the duty officer",
    Service.OPENCLAWDBOT: "takes milestones and demand in",
    Service.LEARNING: "learns which profile does which work best",
}

Tier = Literal["cheap", "balanced", "heavy", "strategic", "service-native"]


class TheaterSeen(Struct, frozen=True):
    """A theater, what its mainline lets units run, and whether a person approves each merge."""

    theater_id: str
    policy: TheaterPolicy
    needs_approval: bool


def control(theaters: list[TheaterSeen], profiles: list[Profile], default_model: str) -> dict[str, Any]:
    """Return GET /api/command-center/control; `default_model` runs the profiles that name no model."""
    services = [_service_engine(service, task) for service, task in _TASKS.items()]
    return {
        "ok": True,
        "clusters": [
            {"id": "services", "label": "Services", "engines": services},
            *(
                {
                    "id": f"theater-{theater.theater_id}",
                    "label": f"Theater {theater.theater_id}",
                    "engines": [_unit(theater, profile, default_model) for profile in profiles],
                }
                for theater in theaters
            ),
        ],
    }


def _service_engine(service: Service, task: str) -> dict[str, Any]:
    return {
        "id": service.value,
        "name": service.value,
        "task": task,
        "model": "",
        "tier": "service-native",
        "allowedSkills": [],
        "networkMode": "service-native",
        "timeoutLabel": "none",
        "approvalClass": "service-native",
    }


def _unit(theater: TheaterSeen, profile: Profile, default_model: str) -> dict[str, Any]:
    """A unit of one profile in one theater; its skills are the programs that the mainline's policy allows."""
    tier: Tier = "balanced"  # what a model costs is the provider's, and profiles say nothing of it
    commands = theater.policy.commands
    return {
        "id": f"{theater.theater_id}-{profile.name}",
        "name": profile.name,
        "task": "does the orders of this theater",
        "model": profile.model or default_model,
        "tier": tier,
        "allowedSkills": commands.allow,
        "networkMode": "allowlisted" if commands.network else "local",
        "timeoutLabel": f"{Constraints().budget_seconds:g} s an attempt, where the order says nothing else",
        "approvalClass": "approval-gated" if theater.needs_approval else "bounded",
    }
