"""What really runs, as clusters and engines of the command center. Pure."""

from typing import Any

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
_PLAYBOOKS = ["summarize", "call_summary", "draft"]


def control(theaters: list[str], model_name: str) -> dict[str, Any]:
    """Return GET /api/command-center/control."""
    services = [_service_engine(service, task) for service, task in _TASKS.items()]
    return {
        "ok": True,
        "clusters": [
            {"id": "services", "label": "Services", "engines": services},
            *(
                {"id": f"theater-{name}", "label": f"Theater {name}", "engines": [_unit(name, model_name)]}
                for name in theaters
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


def _unit(theater: str, model_name: str) -> dict[str, Any]:
    return {
        "id": f"{theater}-executor_default",
        "name": "executor_default",
        "task": "does the orders of this theater",
        "model": model_name,
        "tier": "balanced",
        "allowedSkills": _PLAYBOOKS,
        "networkMode": "local",
        "timeoutLabel": "60 s an attempt",
        "approvalClass": "bounded",
    }
