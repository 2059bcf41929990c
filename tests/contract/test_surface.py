"""No unwired surface: whatever users can reach, an integration or e2e test reaches.

Each declared endpoint, event type, command-line verb and flag, and setting must be named by a test that runs
real parts. The list is read from the code, so that it grows with it.
"""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ironclaw_chassis.settings import SHARED, ServiceSettings, variable_names
from ironclaw_contracts import endpoints
from ironclaw_contracts.endpoints import ALL
from ironclaw_contracts.enums import Service
from ironclaw_contracts.events import EventType

ROOT = Path(__file__).resolve().parents[2]
TESTED = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("integration", "e2e", "chaos", "support")
    for path in (ROOT / "tests" / folder).rglob("*.py")
)
SETTINGS_PAGE = ROOT / "docs" / "settings.md"


def endpoint_constants() -> Iterator[tuple[str, str]]:
    for service in ALL:
        module = importlib.import_module(f"{endpoints.__name__}.{service.value}")
        for endpoint in ALL[service]:
            name = next(name for name, value in vars(module).items() if value is endpoint)
            yield service.value, name


def settings_of() -> Iterator[tuple[Service, type[ServiceSettings]]]:
    for service in ALL:
        yield service, importlib.import_module(f"ironclaw_{service.value}.settings").Settings


@pytest.mark.parametrize(("service", "name"), sorted(endpoint_constants()))
def test_given_an_endpoint_when_sought_in_the_tests_then_one_calls_it(service: str, name: str) -> None:
    aliases = {service, "api", "api_gateway"} if service == "api_gateway" else {service}
    assert any(f"{alias}.{name}" in TESTED for alias in aliases), f"no test calls {service}.{name}"


@pytest.mark.parametrize("kind", sorted(EventType))
def test_given_an_event_type_when_sought_in_the_tests_then_one_appends_or_expects_it(kind: EventType) -> None:
    assert re.search(rf"\b(E|EventType)\.{kind}\b|\"{kind}\"", TESTED), f"no test has {kind}"


def verbs() -> Iterator[tuple[str, ...]]:
    from ironclaw_fleet.cli import build_app

    def walk(app: object, prefix: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name in app:  # type: ignore[attr-defined]
            if name.startswith("-"):
                continue
            sub = app[name]  # type: ignore[index]
            children = list(walk(sub, (*prefix, name)))
            yield from children or [(*prefix, name)]

    yield from walk(build_app(), ())


@pytest.mark.parametrize("verb", sorted(verbs()), ids=" ".join)
def test_given_a_verb_when_sought_in_the_tests_then_one_runs_it(verb: tuple[str, ...]) -> None:
    words = ", ".join(f'"{word}"' for word in verb)
    assert words in TESTED, f"no test runs: ironclaw {' '.join(verb)}"


def flags() -> Iterator[str]:
    for path in (ROOT / "libs" / "fleet" / "ironclaw_fleet" / "cli").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for signature in re.findall(
            r"\n(?:@\w+\.command[^\n]*\n)(?:async )?def \w+\((.*?)\) ->", text, re.DOTALL
        ):
            yield from _keyword_names(signature)
        for signature in re.findall(r"\n(?:async )?def [a-z]\w*\((.*?)\) -> None:", text, re.DOTALL):
            yield from _keyword_names(signature)


def _keyword_names(signature: str) -> Iterator[str]:
    _, star, keywords = signature.partition("*,")
    if star:
        for name in re.findall(r"(?:^|,)\s*(\w+):", keywords):
            if name not in {"options", "port", "quiet", "allowed_roots"}:
                yield "--" + name.replace("_", "-")


@pytest.mark.parametrize("flag", sorted({*flags(), "--json"}))
def test_given_a_flag_when_sought_in_the_tests_then_one_gives_it(flag: str) -> None:
    assert f'"{flag}"' in TESTED or f'"{flag}="' in TESTED, f"no test gives {flag}"


@pytest.mark.parametrize("service", sorted(ALL))
def test_given_a_service_when_its_settings_are_read_then_the_page_documents_each_with_its_default(
    service: Service,
) -> None:
    page = SETTINGS_PAGE.read_text(encoding="utf-8")
    kind = dict(settings_of())[service]
    own = {f.name for f in msgspec.structs.fields(kind)} - {
        f.name for f in msgspec.structs.fields(ServiceSettings)
    }
    for name in own:
        variables = variable_names(service, kind)[name]
        assert any(f"`{variable}`" in page for variable in variables), variables
    for name in (f.name for f in msgspec.structs.fields(ServiceSettings)):
        assert f"`{SHARED.get(name, 'IRONCLAW_<SERVICE>_' + name.upper())}`" in page, name


def test_given_the_settings_page_when_read_then_it_names_nothing_that_is_not_read() -> None:
    known = {"DATABASE_URL", "REDIS_URL", "IRONCLAW_URL", "IRONCLAW_API_KEY", "IRONCLAW_<SERVICE>_PORT"}
    known |= {f"IRONCLAW_{service.value.upper()}_URL" for service in Service} | {"IRONCLAW_<SERVICE>_URL"}
    for service, kind in settings_of():
        known |= {variable for group in variable_names(service, kind).values() for variable in group}
    named = re.findall(r"`((?:IRONCLAW|DATABASE|REDIS|IOINTELLIGENCE)_[A-Z_<>]+)`", SETTINGS_PAGE.read_text())
    assert set(named) <= known, set(named) - known
