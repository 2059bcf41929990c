"""The `appleseed` command: the Appleseed contract over a local state directory.

JSON goes to standard output, what was found amiss and mended to standard error. Exit codes: 0 done;
1 refused, with the reason; 2 bad usage.
"""

import os
import sys
from typing import NoReturn

from cyclopts import App, CycloptsError

_FAILED, _USAGE, _INTERRUPTED = 1, 2, 130


def build_app() -> App:
    """Return the command with all its verbs."""
    from appleseed_evolution.cli import control, evidence, local

    app = App(name="appleseed", help=__doc__, version="0.1.0", help_format="plaintext")
    for verb in (local.init, local.skills, local.serve):
        app.command(verb)
    for verb in (evidence.route, evidence.feedback, evidence.ingest, evidence.openclaw_import):
        app.command(verb)
    for verb in (evidence.report, evidence.inspect):
        app.command(verb)
    for verb in (control.evolve, control.governance, control.review):
        app.command(verb)
    for verb in (control.promote, control.rollback, control.resume):
        app.command(verb)
    return app


def main() -> None:
    """Run the command and end the process with its exit code."""
    from appleseed_evolution.cli.arguments import BadUsage
    from ironclaw_contracts.errors import Problem

    try:
        build_app()(sys.argv[1:], exit_on_error=False, print_error=True, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError:
        sys.exit(_USAGE)
    except BadUsage as error:
        _end(str(error), _USAGE)
    except Problem as problem:
        _end(problem.message, _FAILED)
    except BrokenPipeError:
        # The reader has gone, as in `appleseed inspect | head`; nothing is left to flush to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_FAILED)
    except OSError as error:
        _end(f"{error.filename or 'the system'}: {error.strerror or error}", _FAILED)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)


def _end(message: str, code: int) -> NoReturn:
    # Messages quote what senders wrote; an escape sequence in it could rewrite the terminal.
    shown = message.encode("ascii", "backslashreplace").decode()
    sys.stderr.write(f"appleseed: {''.join(c if c.isprintable() else ' ' for c in shown)}\n")
    sys.exit(code)
