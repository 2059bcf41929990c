"""The ledger's bounds cannot be switched off by a setting."""

import pytest

from ironclaw_chassis.settings import SettingsError, read_settings
from ironclaw_contracts.enums import Service
from ironclaw_ledger.settings import Settings


@pytest.mark.parametrize("field", ["checkpoint_events", "streams_max", "queue_max"])
def test_given_a_bound_of_zero_when_read_then_refused_with_the_fields_name(field: str) -> None:
    name = f"IRONCLAW_LEDGER_{field.upper()}"
    assert getattr(read_settings(Settings, Service.LEDGER, {name: "1"}), field) == 1
    with pytest.raises(SettingsError, match=field):
        read_settings(Settings, Service.LEDGER, {name: "0"})
