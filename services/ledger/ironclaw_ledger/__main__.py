"""`python -m ironclaw_ledger` runs the service; `migrate` and `rebuild` do that and end."""

import sys
from importlib.resources import files

from ironclaw_chassis.serve import run_service
from ironclaw_contracts.enums import Service
from ironclaw_ledger.settings import Settings

if sys.argv[1:] == ["rebuild"]:
    from ironclaw_ledger.offline import rebuild

    rebuild()
else:
    run_service(Service.LEDGER, Settings, "ironclaw_ledger.app", files("ironclaw_ledger") / "migrations")
