"""What this machine offers: `ironclaw doctor`."""

import os

from ironclaw_fleet.cli.output import PLAIN, Options, print_json, print_table, say
from ironclaw_fleet.cli.session import EXIT_USAGE, Failed


async def doctor(*, options: Options = PLAIN) -> None:
    """Try what the sandbox needs on this machine, and show which tier commands get.

    Exit status 1 means that commands and agents are refused here; the last lines say how to mend it.
    """
    from ironclaw_sandbox import SETTING, BadSetting, SandboxRefused, choose, parse_setting, probe

    report = await probe()
    try:
        setting = parse_setting(os.environ.get(SETTING))
        tier, refusal = choose(setting, report), ""
    except BadSetting as error:
        raise Failed(error.message, EXIT_USAGE) from error
    except SandboxRefused as error:
        tier, refusal = "refused", error.message
    if options.json:
        print_json({"sandbox": tier, "refusal": refusal, "abilities": report.abilities})
    else:
        print_table(
            ("ability", "works", "seen", "mend"),
            [(one.name, "yes" if one.works else "no", one.detail, one.mend) for one in report.abilities],
        )
        say(f"\nsandbox: {tier}")
    if refusal:
        raise Failed("" if options.json else refusal)
