"""The `ironclaw` command.

Exit codes: 0 done; 1 it failed (a run failed, a chain is broken); 2 bad usage; 3 the fleet cannot be reached;
4 refused (no key, a wrong one, or not enough rights); 130 interrupted by Ctrl-C.
"""

import os
import sys
from typing import NoReturn

from cyclopts import App, CycloptsError

_INTERRUPTED = 130


def build_app() -> App:
    """Return the command with all its verbs."""
    from ironclaw_fleet.cli import machine, operate, receipt, schema, watch, work
    from ironclaw_fleet.cli.center import center
    from ironclaw_fleet.cli.conformance import conformance
    from ironclaw_fleet.cli.diff import diff
    from ironclaw_fleet.cli.doctor import doctor
    from ironclaw_fleet.cli.escalations import escalations
    from ironclaw_fleet.cli.gates import approvals, gates, weather
    from ironclaw_fleet.cli.keys import keys
    from ironclaw_fleet.cli.ledger import ledger
    from ironclaw_fleet.cli.migrate import migrate
    from ironclaw_fleet.cli.milestones import milestones
    from ironclaw_fleet.cli.openclaw import openclaw
    from ironclaw_fleet.cli.policy import policy
    from ironclaw_fleet.cli.replay import replay
    from ironclaw_fleet.cli.salvage import salvage
    from ironclaw_fleet.cli.secrets import secrets
    from ironclaw_fleet.cli.skills import skills
    from ironclaw_fleet.cli.spending import spending
    from ironclaw_fleet.cli.theater import theater
    from ironclaw_fleet.cli.top import top

    app = App(name="ironclaw", help=__doc__, version="0.1.0", help_format="plaintext")
    for verb in (machine.up, machine.down, machine.status, machine.logs, machine.serve, doctor, migrate):
        app.command(verb)
    # Named, not imported: it stands on the whole fleet, which would make every other verb slow to start.
    app.command(
        "ironclaw_fleet.cli.demo:demo",
        name="demo",
        help="Start a fleet, turn one chat message into merged work, prove it, stop.",
    )
    for verb, said in (
        ("backup", "Write the whole fleet to one file: every schema, every repository, the keys."),
        ("restore", "Restore a backup into a fresh state directory, and verify its chain and repositories."),
    ):  # named, not imported, for the same reason
        app.command(f"ironclaw_fleet.cli.backup:{verb}", name=verb, help=said)
    for verb in (
        work.chat,
        work.runs,
        work.run,
        work.orders,
        work.order,
        work.why,
        work.cancel,
        work.feedback,
        replay,
        spending,
    ):
        app.command(verb)
    for verb in (
        work.artifact,
        diff,
        top,
        center,
        operate.events,
        operate.integrate,
        receipt.receipt,
        schema.schema,
    ):
        app.command(verb)
    app.command(receipt.verify_receipt)
    for verb in (watch.patrol, watch.audit, watch.recover, watch.grades, watch.drill):
        app.command(verb)
    for group in (
        theater,
        ledger,
        keys,
        escalations,
        salvage,
        milestones,
        secrets,
        conformance,
        openclaw,
        policy,
        skills,
    ):
        app.command(group)
    for group in (gates, approvals, weather):
        app.command(group)
    app.register_install_completion_command(
        help="Have the shell you use complete verbs and options, from its next start on."
    )
    return app


def main() -> None:
    """Run the command and end the process with its exit code."""
    import msgspec

    from ironclaw_contracts.errors import Problem
    from ironclaw_fleet.cli.session import EXIT_FAILED, EXIT_USAGE, Failed, exit_code_of, told

    try:
        answer = build_app()(
            sys.argv[1:], exit_on_error=False, print_error=True, result_action="return_value"
        )
        sys.stdout.flush()
    except CycloptsError:
        sys.exit(EXIT_USAGE)
    except Problem as problem:
        _end(told(problem), exit_code_of(problem))
    except Failed as failure:
        _end(str(failure), failure.code)
    except BrokenPipeError:
        # The reader has gone, as in `ironclaw events | head`; nothing is left to flush to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except OSError as error:
        _end(f"{error.filename or 'the system'}: {error.strerror or error}", EXIT_FAILED)
    except msgspec.MsgspecError as error:
        _end(
            f"the answer is not an IronClaw gateway's of this version ({error}); is IRONCLAW_URL right?",
            EXIT_FAILED,
        )
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    sys.exit(answer if isinstance(answer, int) else 0)


def _end(message: str, code: int) -> NoReturn:
    if message:
        sys.stderr.write(f"ironclaw: {message.rstrip()}\n")
    sys.exit(code)
