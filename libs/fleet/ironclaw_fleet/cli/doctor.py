"""What this machine offers: `ironclaw doctor`."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ironclaw_contracts.enums import SERVICE_PORTS, Service
from ironclaw_fleet.cli.dotenv import with_dotenv
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, print_table, say
from ironclaw_fleet.cli.session import EXIT_USAGE, Failed
from ironclaw_fleet.statedir import StateDirectory


async def doctor(
    *,
    port_base: Annotated[int, Parameter(env_var="IRONCLAW_PORT_BASE")] = SERVICE_PORTS[Service.API_GATEWAY],
    options: Options = PLAIN,
) -> None:
    """Check this machine: git, ports, disk, keys, the model, and what the sandbox needs.

    Exit status 1 means that a fleet cannot run here as it is, or that commands and agents are refused; the
    table says how to mend each finding. Of the sandbox's abilities one tier is enough.

    Args:
        port_base: Port of the gateway that a fleet would be started with.
    """
    from ironclaw_fleet.checkup import check_machine
    from ironclaw_sandbox import SETTING, BadSetting, SandboxRefused, choose, parse_setting, probe

    environ = with_dotenv(os.environ, Path(".env"))
    machine = await check_machine(environ, StateDirectory.locate(), port_base)
    report = await probe()
    try:
        tier, refusal = choose(parse_setting(environ.get(SETTING)), report), ""
    except BadSetting as error:
        raise Failed(error.message, EXIT_USAGE) from error
    except SandboxRefused as error:
        tier, refusal = "refused", error.message
    amiss = [one.name for one in machine if not one.works]
    if options.json:
        print_json({"machine": machine, "sandbox": tier, "refusal": refusal, "abilities": report.abilities})
    else:
        print_table(
            ("checked", "works", "seen", "mend"),
            [
                (one.name, "yes" if one.works else "no", one.detail, one.mend)
                for one in (*machine, *report.abilities)
            ],
        )
        say(f"\nsandbox: {tier}")
    if refusal or amiss:
        said = [f"to be mended: {', '.join(amiss)}"] if amiss else []
        raise Failed("" if options.json else "; ".join([*said, *([refusal] if refusal else [])]))
