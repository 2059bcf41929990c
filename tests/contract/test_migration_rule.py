"""The compatibility rule: while an upgrade rolls, old code runs on the new schema.

So a migration adds. It takes away only what the release before stopped using, and then a line
`-- contract: WHAT, unused since VERSION` says so (docs/deploy.md, Upgrade).
"""

import re
from pathlib import Path

import pytest

MIGRATIONS = sorted((Path(__file__).resolve().parents[2] / "services").glob("*/*/migrations/*.sql"))
OLDER_THAN_THE_RULE = {"openclawdbot/0003_live_order.sql"}  # an applied file is never changed

CONTRACT = re.compile(r"^-- contract: .+, unused since \S+", re.MULTILINE)
BREAKING = re.compile(
    r"\Adrop (?:table|schema|type|function|view)\b"
    r"|\Aalter table .*\b(?:drop column|rename\b|alter column \S+ (?:type|set data type|set not null))"
    r"|\Aalter table .*\badd column (?!.*\bdefault\b).*\bnot null\b"
    r"|\A(?:truncate|delete from)\b",
    re.IGNORECASE,
)


def breaking_statements(sql: str) -> list[str]:
    """Return the statements after which code that knew the schema before would fail."""
    plain = re.sub(r"--[^\n]*", "", re.sub(r"\$\$.*?\$\$", "", sql, flags=re.DOTALL))
    statements = (" ".join(statement.split()) for statement in plain.split(";"))
    return [] if CONTRACT.search(sql) else [text for text in statements if BREAKING.search(text)]


@pytest.mark.parametrize("file", MIGRATIONS, ids=lambda file: f"{file.parts[-4]}/{file.name}")
def test_given_a_migration_when_judged_then_old_code_runs_on_the_schema_that_it_makes(file: Path) -> None:
    if f"{file.parts[-4]}/{file.name}" not in OLDER_THAN_THE_RULE:
        assert breaking_statements(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("sql", "breaks"),
    [
        ("create table a (id int); create index a_id on a (id);", False),
        ("alter table a add column b text;", False),
        ("alter table a add column b text not null default '';", False),
        ("alter table a add column b text not null;", True),
        ("alter table a drop column b;", True),
        ("alter table a rename to c;", True),
        ("alter table a rename column b to c;", True),
        ("alter table a alter column b type bigint;", True),
        ("alter table a alter column b set not null;", True),
        ("drop table a;", True),
        ("-- drop table a;\ncreate table c (id int);", False),
        ("-- contract: table a, unused since 0.2.0\ndrop table a;", False),
    ],
)
def test_given_sql_when_judged_then_what_old_code_would_trip_over_is_found(sql: str, breaks: bool) -> None:
    assert bool(breaking_statements(sql)) is breaks
