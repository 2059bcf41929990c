"""The `ironclaw` command.

Exit codes: 0 done; 1 it failed (a run failed, a chain is broken); 2 bad usage; 3 the fleet cannot be reached;
4 refused (no key, a wrong one, or not enough rights).
"""

import sys

from cyclopts import App, CycloptsError

EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_REFUSED = 1, 2, 3, 4


def build_app() -> App:
    """Return the command with all its verbs."""
    from ironclaw_fleet.cli import demo, machine, operate, schema, work
    from ironclaw_fleet.cli.keys import keys
    from ironclaw_fleet.cli.ledger import ledger
    from ironclaw_fleet.cli.theater import theater

    app = App(name="ironclaw", help=__doc__, version="0.1.0", help_format="plaintext")
    for verb in (machine.up, machine.down, machine.status, machine.logs, machine.serve, demo.demo):
        app.command(verb)
    for verb in (work.chat, work.runs, work.run, work.orders, work.order, work.why, work.cancel):
        app.command(verb)
    for verb in (work.artifact, operate.events, operate.patrol, operate.integrate, schema.schema):
        app.command(verb)
    for group in (theater, ledger, keys):
        app.command(group)
    return app


def main() -> None:
    """Run the command and end the process with its exit code."""
    from ironclaw_contracts.errors import Problem
    from ironclaw_fleet.cli.session import Failed, exit_code_of

    try:
        answer = build_app()(
            sys.argv[1:], exit_on_error=False, print_error=True, result_action="return_value"
        )
    except CycloptsError:
        sys.exit(EXIT_USAGE)
    except Problem as problem:
        sys.stderr.write(f"ironclaw: {problem.message}\n")
        sys.exit(exit_code_of(problem))
    except Failed as failure:
        if str(failure):
            sys.stderr.write(f"ironclaw: {failure}\n")
        sys.exit(failure.code)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(answer if isinstance(answer, int) else 0)
