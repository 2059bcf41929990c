"""Every table that a service makes is spoken of where a restore to an earlier point forgets."""

import re
from pathlib import Path

import pytest

from ironclaw_fleet.databases import WITH_DATABASE

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("service", sorted(WITH_DATABASE))
def test_given_a_services_tables_when_its_restore_script_is_read_then_it_names_each(service: str) -> None:
    package = ROOT / "services" / service / f"ironclaw_{service}"
    made = {
        name
        for path in (package / "migrations").glob("*.sql")
        for name in re.findall(r"^create table (\w+)", path.read_text(), re.MULTILINE)
    }
    script = (package / "as_of.sql").read_text()
    touched = set(re.findall(r"(?:delete from|update) (\w+)", script))
    assert made - touched == set(), "say in as_of.sql what of these tables came later"
    assert touched <= made
