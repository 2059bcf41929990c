"""Ask for work and look at it: chat, runs, orders, artifacts."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number

from ironclaw_contracts.artifacts import Constraints, ToolPolicy
from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.co import Cancellation
from ironclaw_contracts.endpoints.ledger import OrdersQuery, RunQuery, RunsQuery
from ironclaw_contracts.endpoints.vault import Theater
from ironclaw_contracts.enums import OrderStatus, RunStatus
from ironclaw_contracts.errors import NotFound, Unavailable
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.plan import Budget, OnOrderFailure
from ironclaw_contracts.policy import FollowUp, Verdict
from ironclaw_contracts.snapshots import RunView
from ironclaw_contracts.spending import Ceiling
from ironclaw_contracts.why import Why
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, ago, first_line, print_json, print_table, say
from ironclaw_fleet.cli.progress import ended_run, follow_run
from ironclaw_fleet.cli.session import EXIT_UNREACHABLE, EXIT_USAGE, Failed, gateway


async def chat(
    message: str,
    *,
    theater: Identifier | None = None,
    playbook: Identifier | None = None,
    input: Annotated[list[str] | None, Parameter(name="--input")] = None,
    on_order_failure: OnOrderFailure | None = None,
    profile: Identifier | None = None,
    redo: Identifier | None = None,
    reject: Identifier | None = None,
    detach: Annotated[bool, Parameter(name=["--detach", "--async"], negative="")] = False,
    deadline: Annotated[int, Parameter(validator=Number(gte=1, lte=86_400))] = 600,
    priority: Annotated[int, Parameter(validator=Number(gte=-60, lte=60))] = 0,
    spend_usd: Annotated[float | None, Parameter(validator=Number(gte=0))] = None,
    spend_tokens: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    order_seconds: Annotated[int | None, Parameter(validator=Number(gte=1, lte=86_400))] = None,
    network: Annotated[bool, Parameter(negative="")] = False,
    options: Options = PLAIN,
) -> None:
    """Ask for work and watch it until the reply.

    Args:
        message: What is wanted, in words.
        theater: Where to work. Otherwise the theater whose repository you stand in; for a codemod the only
            one on a repository of yours; else the default theater.
        playbook: summarize, draft, call_summary, codemod or agent; chosen from the message otherwise.
        input: An input of the playbook, as name=value; the value may be JSON.
        on_order_failure: What becomes of the run when one of its orders fails: replan, fail or continue;
            as the playbook has it otherwise.
        profile: The profile that does every order, instead of what the routing policy says.
        redo: An earlier run whose result is wanted again, made better.
        reject: An earlier run whose result is not what was wanted.
        detach: Answer at once with the run to follow.
        deadline: Seconds that the whole run may take.
        priority: How many minutes of waiting its merges are ahead of others, or behind.
        spend_usd: US dollars that its model calls may cost in all.
        spend_tokens: Tokens that they may take in all.
        order_seconds: Seconds that one attempt at an order may take; as the playbook has it otherwise.
        network: Let commands join the network, where the theater's policy allows it.
    """
    if not message.strip():
        raise Failed("say what is wanted: ironclaw chat 'your message'", EXIT_USAGE)
    run_id = new_id()  # chosen here, so that a lost answer does not lose the run
    if theater is None and "IRONCLAW_URL" not in os.environ:
        async with gateway() as client:
            theaters = (await client.call(api.LIST_THEATERS)).theaters
        theater = theater_meant(theaters, Path.cwd(), playbook)
    request = api.ChatRequest(
        message=message,
        theater_hint=theater,
        mode="async",
        run_id=run_id,
        playbook=playbook,
        inputs=_inputs(input or []),
        constraints=Constraints(
            priority=priority,
            budget_seconds=order_seconds or Constraints().budget_seconds,
            tool_policy=ToolPolicy(network=network),
        ),
        budget=Budget(deadline_seconds=deadline, spend=Ceiling(tokens=spend_tokens, usd=spend_usd)),
        on_order_failure=on_order_failure,
        profile=profile,
        follow_up=_follow_up(redo, reject),
    )
    async with gateway() as client:
        try:
            answer = await client.call(api.CHAT, request)
        except Unavailable as error:
            raise Failed(
                f"{error.message}; whether the run began all the same, this tells: ironclaw run {run_id}",
                EXIT_UNREACHABLE,
            ) from error
        if detach:
            print_json(answer) if options.json else say(
                f"run {answer.run_id}: ironclaw run {answer.run_id} --follow"
            )
            return
        if not options.json:
            say(f"run {answer.run_id}")
            view = await follow_run(client, answer.run_id)
        else:
            view = await ended_run(client, answer.run_id)
    _print_outcome(view, options)


def theater_meant(theaters: list[Theater], here: Path, playbook: str | None) -> str | None:
    """Return the theater that a chat without one means, or None for the fleet's default.

    That of the repository we stand in, the innermost; for a codemod, which needs code, else the only
    repository that was opened as a theater.
    """
    opened = [one for one in theaters if not one.owned]
    around = [one for one in opened if here.resolve().is_relative_to(_checkout(one))]
    if around:
        return max(around, key=lambda one: len(_checkout(one).parts)).theater_id
    return opened[0].theater_id if playbook == "codemod" and len(opened) == 1 else None


def _checkout(theater: Theater) -> Path:
    path = Path(theater.repo_path)
    return path.parent if path.name == ".git" else path


async def runs(
    *,
    status: RunStatus | None = None,
    theater: Identifier | None = None,
    limit: int = 20,
    as_of: str | None = None,
    options: Options = PLAIN,
) -> None:
    """List runs, newest first, now or as of a ledger seq or an instant.

    Args:
        status: Only these.
        theater: Only this theater's.
        limit: How many at most.
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    async with gateway() as client:
        query = RunsQuery(status=status, theater_id=theater, limit=limit, as_of=as_of)
        page = await client.call(api.LIST_RUNS, query=query)
    if options.json:
        print_json(page)
        return
    print_table(
        ("run", "status", "merged", "age", "objective"),
        [
            (
                r.run_id,
                r.status,
                f"{r.orders_integrated}/{r.orders_total}",
                ago(r.created_at),
                first_line(r.objective),
            )
            for r in page.runs
        ],
    )


async def run(
    run_id: Identifier,
    *,
    at_seq: int | None = None,
    as_of: str | None = None,
    follow: bool = False,
    options: Options = PLAIN,
) -> None:
    """Show a run with its orders, now or as of a ledger seq.

    Args:
        run_id: The run.
        at_seq: Show the state as of this ledger seq.
        as_of: The same, or as of an instant: 2026-11-21T09:30:00Z.
        follow: Watch the run until it ends.
    """
    async with gateway() as client:
        if follow:
            _print_outcome(await follow_run(client, run_id), options)
            return
        view = await client.call(api.GET_RUN, query=RunQuery(at_seq=at_seq, as_of=as_of), run_id=run_id)
    if options.json:
        print_json(view)
        return
    say(
        f"{view.run.run_id}  {view.run.status}  theater {view.run.theater_id}  {ago(view.run.created_at)} ago"
    )
    say(first_line(view.run.objective, 200))
    print_table(
        ("order", "phase", "attempt", "title"),
        [(o.order_id, o.phase, o.attempt, first_line(o.title)) for o in view.orders],
    )
    if view.run.reason:
        say(f"reason: {view.run.reason}")
    if view.run.reply:
        say(f"\n{view.run.reply}")


async def orders(
    *,
    run: Identifier | None = None,
    status: OrderStatus | None = None,
    limit: int = 50,
    as_of: str | None = None,
    options: Options = PLAIN,
) -> None:
    """List orders, newest first, now or as of a ledger seq or an instant.

    Args:
        run: Only this run's.
        status: Only these.
        limit: How many at most.
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    query = OrdersQuery(run_id=run, status=status, limit=limit, as_of=as_of)
    async with gateway() as client:
        page = await client.call(api.LIST_ORDERS, query=query)
    if options.json:
        print_json(page)
        return
    print_table(
        ("order", "phase", "attempt", "age", "title"),
        [(o.order_id, o.phase, o.attempt, ago(o.created_at), first_line(o.title)) for o in page.orders],
    )


async def order(order_id: Identifier, *, as_of: str | None = None, options: Options = PLAIN) -> None:
    """Show an order: objective, attempts, commit, artifacts; now or as of a ledger seq or an instant.

    Args:
        order_id: The order.
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    async with gateway() as client:
        view = await client.call(api.GET_ORDER, query=AsOfQuery(as_of), order_id=order_id)
    if options.json:
        print_json(view)
        return
    found = view.order
    say(f"{found.order_id}  {found.phase}  attempt {found.attempt}  run {found.run_id}")
    say(found.title)
    for label, value in (
        ("commit", found.commit_sha),
        ("merged as", found.merge_commit),
        ("held", found.hold),
    ):
        if value:
            say(f"{label}: {value}")
    if found.routing is not None:
        say(f"profile: {found.order.profile.name} ({found.routing.reason})")
    for artifact in found.artifacts:
        say(f"artifact: {artifact.path} ({artifact.size} bytes, {artifact.type})")
    for end in found.history:
        say(f"attempt {end.attempt} ended: {end.outcome} ({end.cause}): {end.reason}")


async def why(subject: Identifier, *, as_of: str | None = None, options: Options = PLAIN) -> None:
    """Say what a run or an order waits for, who moves next, and by when; or waited for then.

    Args:
        subject: A run or an order.
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    async with gateway() as client:
        try:
            answer = await client.call(api.WHY_ORDER, query=AsOfQuery(as_of), order_id=subject)
        except NotFound:
            answer = await client.call(api.WHY_RUN, query=AsOfQuery(as_of), run_id=subject)
    print_json(answer) if options.json else _print_why(answer)


async def cancel(
    run_id: Identifier, *, reason: str = "cancelled by the user", options: Options = PLAIN
) -> None:
    """Ask for a run to be cancelled; merged work stays.

    Args:
        run_id: The run.
        reason: Why; it stands in the ledger.
    """
    async with gateway() as client:
        found = await client.call(api.CANCEL_RUN, Cancellation(reason=reason), run_id=run_id)
    print_json(found) if options.json else say(f"run {run_id} is being cancelled")


async def artifact(
    order_id: Identifier,
    path: str,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    as_of: str | None = None,
) -> None:
    """Fetch an artifact of an order, to a file or to standard output.

    Args:
        order_id: The order.
        path: The artifact, as `ironclaw order` names it.
        output: The file to write; standard output otherwise.
        as_of: As it stood at a ledger seq, or at an instant: 2026-11-21T09:30:00Z.
    """
    query = api.ArtifactQuery(path=path, as_of=as_of)
    async with gateway() as client:
        content = await client.call(api.GET_ARTIFACT, query=query, order_id=order_id)
    if output is None:
        sys.stdout.buffer.write(content)
    else:
        output.write_bytes(content)
        say(f"{output}: {len(content)} bytes")


async def feedback(
    run_id: Identifier, verdict: Verdict, *, comment: str = "", options: Options = PLAIN
) -> None:
    """Say what you think of a run's result; routing learns from it.

    Args:
        run_id: The run.
        verdict: accept, reject or redo.
        comment: Why.
    """
    async with gateway() as client:
        answer = await client.call(api.GIVE_FEEDBACK, api.Opinion(verdict, comment), run_id=run_id)
    if options.json:
        print_json(answer)
        return
    say(f"recorded; it counts for {', '.join(answer.counts_for) or 'no order: that was said before'}")


def _follow_up(redo: str | None, reject: str | None) -> FollowUp | None:
    if redo is not None and reject is not None:
        raise Failed("give --redo or --reject, not both", EXIT_USAGE)
    if redo is not None:
        return FollowUp(redo, "redo")
    return FollowUp(reject, "reject") if reject is not None else None


def _inputs(pairs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise Failed(f"--input {pair!r}: write it as name=value", EXIT_USAGE)
        try:
            found[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[name] = value
    return found


def _print_outcome(view: RunView, options: Options) -> None:
    run = view.run
    if options.json:
        print_json(view)
    elif run.reply:
        say(f"\n{run.reply}")
    if run.status is not RunStatus.COMPLETE:
        raise Failed(f"run {run.run_id} is {run.status}: {run.reason}")


def _print_why(answer: Why) -> None:
    if answer.terminal:
        say(f"{answer.subject} has ended: {answer.state}")
        return
    for depth, link in enumerate(answer.chain):
        say(f"{'  ' * depth}{link.subject}: {link.blocker}, owner {link.owner}, since event {link.event_id}")
        say(f"{'  ' * depth}  next: {link.next_action}, by {link.deadline:%H:%M:%S} UTC")
