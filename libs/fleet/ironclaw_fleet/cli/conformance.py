"""Check a foreign receiver: `ironclaw conformance milestones | demand | poi | appleseed --against URL`.

`ironclaw conformance sender PROGRAM...` checks who signs for the first two.
"""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

from cyclopts import App

from ironclaw_contracts.ids import new_id
from ironclaw_contracts.signing import split_secrets
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, say
from ironclaw_fleet.cli.session import EXIT_USAGE, Failed
from ironclaw_fleet.conformance.case import Case, Outcome
from ironclaw_fleet.statedir import StateDirectory

conformance = App(name="conformance", help="Published cases for those who speak our foreign contracts.")


@conformance.command
async def milestones(*, against: str, options: Options = PLAIN) -> None:
    """Send the milestone cases to a receiver and say what it gets wrong.

    The secret is MILESTONE_SIGNING_SECRET, or that of this machine's fleet.

    Args:
        against: The receiver's URL.
    """
    from ironclaw_fleet.conformance.channels import milestone_suite

    await _run(milestone_suite(_secret(), new_id(), datetime.now(UTC)), against, options)


@conformance.command
async def demand(*, against: str, options: Options = PLAIN) -> None:
    """Send the demand cases to a receiver and say what it gets wrong.

    Args:
        against: The receiver's URL.
    """
    from ironclaw_fleet.conformance.channels import demand_suite

    await _run(demand_suite(_secret(), new_id(), datetime.now(UTC)), against, options)


@conformance.command
async def sender(*program: str, options: Options = PLAIN) -> None:
    """Have your own program sign the published milestone cases, and say what it gets wrong.

    Parameters
    ----------
    program
        A program with its arguments. It reads a body on its standard input and prints the signature, once for
        each case; the secret is in MILESTONE_SIGNING_SECRET.
    """
    from ironclaw_fleet.conformance.sender import check_sender

    if not program:
        raise Failed("name the program that signs: ironclaw conformance sender -- node sign.js", EXIT_USAGE)
    _report(await asyncio.to_thread(check_sender, program), options)


@conformance.command
async def poi(*, against: str, key: Path | None = None, options: Options = PLAIN) -> None:
    """Send the proof-of-intent and heartbeat cases to a validator and say what it gets wrong.

    This machine's fleet registers a fresh node for the run. Another validator's operator registers the node
    of a key file first: `--key FILE` makes the file when it is missing, and prints what to register.

    Args:
        against: The validator's URL.
        key: An Ed25519 key (PEM) of a node that the validator has registered as a Planner. Its cases that
            have to be rejected cost the node reputation, so use a new one for each run.
    """
    from ironclaw_fleet.conformance.node import fresh_signer, read_signer, register
    from ironclaw_fleet.conformance.poi import poi_suite

    if key is None:
        signer = fresh_signer()
        await register(signer)
    else:
        signer = read_signer(key)
    now = datetime.now(UTC)
    await _run(poi_suite(signer, int(now.timestamp() * 1_000), new_id(), now), against, options)


@conformance.command
async def appleseed(*, against: str, options: Options = PLAIN) -> None:
    """Send the Appleseed cases to a server and say what it gets wrong.

    The key is APPLESEED_API_KEY; without one, the server is taken to ask for none.

    Args:
        against: The server's URL.
    """
    from ironclaw_fleet.conformance.appleseed import appleseed_suite

    key = os.environ.get("APPLESEED_API_KEY", "").strip()
    await _run(appleseed_suite(key, new_id(), datetime.now(UTC)), against, options)


async def _run(cases: list[Case], against: str, options: Options) -> None:
    from ironclaw_fleet.conformance.run import run_cases

    _report(await run_cases(cases, against), options)


def _report(outcomes: list[Outcome], options: Options) -> None:
    if options.json:
        print_json(outcomes)
    else:
        for outcome in outcomes:
            say(f"{'ok  ' if outcome.fault is None else 'FAIL'} {outcome.name}")
            if outcome.fault is not None:
                say(f"     {outcome.fault}")
    wrong = sum(outcome.fault is not None for outcome in outcomes)
    if wrong:
        raise Failed(f"{wrong} of {len(outcomes)} cases went wrong")


def _secret() -> str:
    given = split_secrets(os.environ.get("MILESTONE_SIGNING_SECRET", ""))
    if given:
        return given[0]
    try:
        return split_secrets(StateDirectory.locate().signing_secrets.read_text(encoding="utf-8"))[0]
    except (OSError, IndexError) as error:
        raise Failed("set MILESTONE_SIGNING_SECRET to the receiver's secret", EXIT_USAGE) from error
