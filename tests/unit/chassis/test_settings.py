"""Settings are read once, strictly, and say what is wrong."""

from pathlib import Path

import pytest

from ironclaw_chassis.secret import Secret
from ironclaw_chassis.settings import DatabaseSettings, ServiceSettings, SettingsError, read_settings
from ironclaw_contracts.enums import Service


class Sample(DatabaseSettings, frozen=True, kw_only=True):
    lease_seconds: int = 15
    sweep_seconds: float = 5.0


def test_given_nothing_when_read_then_the_defaults_run_on_a_laptop() -> None:
    found = read_settings(Sample, Service.WORKER, {})
    assert (found.host, found.lease_seconds, found.port_of(Service.LEDGER)) == ("127.0.0.1", 15, 8082)


def test_given_own_and_shared_names_when_both_are_set_then_the_own_one_wins() -> None:
    environ = {
        "IRONCLAW_LEASE_SECONDS": "20",
        "IRONCLAW_WORKER_LEASE_SECONDS": "30",
        "DATABASE_URL": "postgresql://x",
    }
    found = read_settings(Sample, Service.WORKER, environ)
    assert found.lease_seconds == 30 and found.database_url.reveal() == "postgresql://x"


def test_given_another_services_setting_when_read_then_it_is_passed_over() -> None:
    assert read_settings(Sample, Service.WORKER, {"IRONCLAW_LEDGER_QUEUE_MAX": "5"}) == Sample()


@pytest.mark.parametrize("name", ["IRONCLAW_LEESE_SECONDS", "IRONCLAW_WORKER_UNITS", "IRONCLAW_"])
def test_given_a_misspelt_name_when_read_then_it_is_an_error(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings(ServiceSettings, Service.WORKER, {name: "1"})


def test_given_a_value_of_the_wrong_type_when_read_then_the_error_names_the_field() -> None:
    with pytest.raises(SettingsError, match="lease_seconds"):
        read_settings(Sample, Service.WORKER, {"IRONCLAW_LEASE_SECONDS": "soon"})


def test_given_a_secret_when_shown_then_it_does_not_show() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {Sample(database_url=secret)}"


def test_given_a_secret_in_a_file_when_read_then_it_is_the_files_without_its_last_newline(
    tmp_path: Path,
) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://x\n")
    found = read_settings(Sample, Service.WORKER, {"DATABASE_URL_FILE": str(file)})
    assert found.database_url.reveal() == "postgresql://x"
    own = {"DATABASE_URL_FILE": str(file), "IRONCLAW_WORKER_DATABASE_URL": "postgresql://own"}
    assert read_settings(Sample, Service.WORKER, own).database_url.reveal() == "postgresql://own"


def test_given_a_secrets_file_that_is_not_there_when_read_then_the_error_names_variable_and_file() -> None:
    with pytest.raises(SettingsError, match="IRONCLAW_WORKER_DATABASE_URL_FILE: /nowhere/url"):
        read_settings(Sample, Service.WORKER, {"IRONCLAW_WORKER_DATABASE_URL_FILE": "/nowhere/url"})


def test_given_a_file_for_what_is_no_secret_when_read_then_it_is_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="IRONCLAW_HOST_FILE"):
        read_settings(Sample, Service.WORKER, {"IRONCLAW_HOST_FILE": str(tmp_path)})
