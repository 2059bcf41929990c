"""The rules of the house (DESIGN, Layout): who may import what."""

import ast
from pathlib import Path

import pytest

from bench.__main__ import BY_NAME, SUITES

ROOT = Path(__file__).resolve().parents[2]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
LIBRARIES = {"contracts": "ironclaw_contracts", "chassis": "ironclaw_chassis", "git": "ironclaw_git"}
EDGE = {"litestar", "asyncpg", "redis", "arq", "git", "aiohttp", "uvicorn"}
EDGE_OF = {"limits.py": {"redis"}, "consumer.py": {"arq"}, "webhook.py": {"aiohttp"}}
"""Modules whose one job is an edge."""
EDGE_ROOMS = {"app.py", "routes.py", "store.py", "parts.py", "__main__.py"}
IO_PACKAGES = {"aiohttp", "asyncpg", "redis", "arq", "litestar", "socket", "subprocess", "requests", "httpx"}


def modules(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_when_its_imports_are_read_then_it_imports_no_other_service(service: str) -> None:
    others = {f"ironclaw_{other}" for other in SERVICES if other != service}
    for path in modules(ROOT / "services" / service):
        tops = {name.split(".")[0] for name in imports(path)}
        assert not tops & others, f"{path} imports {tops & others}"


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_domain_module_when_its_imports_are_read_then_it_knows_no_framework(service: str) -> None:
    for path in modules(ROOT / "services" / service):
        if path.name in EDGE_ROOMS or {"routes", "store"} & set(path.parts):
            continue
        tops = {name.split(".")[0] for name in imports(path)}
        allowed = EDGE_OF.get(path.name, set())
        assert not (tops & EDGE) - allowed, f"{path} imports {tops & EDGE}"


@pytest.mark.parametrize("service", SERVICES)
def test_given_a_service_when_sql_is_sought_then_only_its_store_has_any(service: str) -> None:
    for path in modules(ROOT / "services" / service):
        text = path.read_text(encoding="utf-8").lower()
        if path.name != "store.py" and "store" not in path.parts:
            assert "insert into" not in text and "select * from" not in text, path


def test_given_the_contracts_when_their_imports_are_read_then_they_import_nothing_of_ours_and_do_no_io() -> (
    None
):
    for path in modules(ROOT / "libs" / "contracts"):
        tops = {name.split(".")[0] for name in imports(path)}
        ours = {name for name in tops if name.startswith("ironclaw_")}
        assert ours <= {"ironclaw_contracts"}, path
        assert not tops & IO_PACKAGES, path


def test_given_the_libraries_when_their_imports_are_read_then_none_imports_a_service() -> None:
    services = {f"ironclaw_{service}" for service in SERVICES}
    for path in modules(ROOT / "libs"):
        assert not {name.split(".")[0] for name in imports(path)} & services, path


def test_given_the_tree_when_module_names_are_read_then_none_says_nothing() -> None:
    empty_names = {"utils.py", "helpers.py", "common.py", "misc.py", "manager.py"}
    for path in [*modules(ROOT / "libs"), *modules(ROOT / "services")]:
        assert path.name not in empty_names, path


def test_given_the_tree_when_modules_are_measured_then_no_room_holds_two_things() -> None:
    for path in [*modules(ROOT / "libs"), *modules(ROOT / "services")]:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_given_the_lock_files_when_read_then_no_address_stands_in_them() -> None:
    for name in ("requirements.lock", "bootstrap.lock", "deploy/requirements.lock"):
        assert "http://" not in (text := (ROOT / name).read_text()) and "https://" not in text


def test_given_a_measurement_when_it_is_asked_for_by_name_then_the_command_knows_it() -> None:
    measured = {path.stem for path in modules(ROOT / "bench") if "def rows(" in path.read_text("utf-8")}
    assert measured - {"__main__"} == {*SUITES, *BY_NAME}
