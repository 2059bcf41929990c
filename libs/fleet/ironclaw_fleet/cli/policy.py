"""The routing policy: `ironclaw policy show | diff | explain | tick | promote | rollback`."""

from cyclopts import App

from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.learning import PolicyQuery, PolicyView
from ironclaw_contracts.policy import Figures, Interval, TaskPolicy
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, print_json, print_table, say
from ironclaw_fleet.cli.session import Failed, gateway

policy = App(name="policy", help="Which profile does which kind of order, why, and what would change it.")


@policy.command
async def show(*, as_of: str | None = None, options: Options = PLAIN) -> None:
    """Show the policy in force with the figures of every profile, and what is proposed.

    Args:
        as_of: Derive everything again from the ledger, as of this seq or instant.
    """
    view = await _view(as_of)
    if options.json:
        print_json(view)
        return
    _print_header(view)
    print_table(
        (
            *("task type", "profile", "share", "success", "95 %", "outcomes"),
            *("retries", "p50", "p99", "cost", "corrected"),
        ),
        [
            (
                *(task_type, profile, _share(view, task_type, profile)),
                *(_rate(figures.success_rate), _span(figures.success), figures.merged + figures.failed),
                *(figures.retries, _seconds(figures, "p50"), _seconds(figures, "p99")),
                *(f"${figures.cost_microusd / 1e6:.4f}", figures.corrected),
            )
            for task_type, profiles in view.figures.items()
            for profile, figures in profiles.items()
        ],
    )
    _print_proposal(view)


@policy.command
async def diff(*, options: Options = PLAIN) -> None:
    """Show what the waiting proposal would change and what the gate found; exits with 1 without one."""
    view = await _view()
    if view.proposal is None:
        raise Failed("no proposal waits")
    print_json(view.proposal) if options.json else _print_proposal(view)


@policy.command
async def explain(task_type: Identifier, *, options: Options = PLAIN) -> None:
    """Say how orders of one type are routed, by which figures, and what would change it.

    Args:
        task_type: A type of orders, such as summarize.
    """
    view = await _view()
    in_force = _task(view.in_force.tasks if view.in_force else [], task_type)
    drafted = _task(view.drafted.tasks, task_type)
    if drafted is None:
        known = ", ".join(view.figures) or "none at all"
        raise Failed(f"no order of type {task_type} has ended yet; there are {known}")
    if options.json:
        print_json({"in_force": in_force, "drafted": drafted})
        return
    if in_force is None:
        say(f"version {view.version} does not name {task_type}; shares: {_shares(view, task_type)}")
    else:
        say(f"version {view.version} recommends {in_force.recommended}; shares: {_shares(view, task_type)}")
        _print_lines("because", in_force.reasons)
    say(f"the figures argue for {drafted.recommended} ({drafted.basis.replace('_', ' ')})")
    _print_lines("because", drafted.reasons)
    _print_lines("what would change it", drafted.would_change)
    print_table(
        ("profile", "share wanted", "chance best", "rate", "95 %", "recent outcomes"),
        [
            (
                r.profile,
                f"{r.share:.1%}",
                f"{r.chance_best:.1%}",
                _rate(r.rate),
                _span(r.interval),
                f"{r.evidence:.1f}",
            )
            for r in drafted.profiles
        ],
    )


@policy.command
async def tick(*, options: Options = PLAIN) -> None:
    """Have learning take in what the ledger has now."""
    async with gateway() as client:
        done = await client.call(api.LEARN_TICK)
    if options.json:
        print_json(done)
        return
    say(f"{done.events} events, up to {done.as_of_seq}; version {done.in_force} is in force")
    for change in done.changes:
        say(change)


@policy.command
async def promote(version: int | None = None, *, options: Options = PLAIN) -> None:
    """Put the proposal that waits in force; refused when the gate blocks it.

    Args:
        version: Refuse when another version waits by now.
    """
    if version is None:
        waiting = (await _view()).proposal
        if waiting is None:
            raise Failed("no proposal waits")
        version = waiting.version
    async with gateway() as client:
        view = await client.call(api.PROMOTE_POLICY, api.PromotionRequest(version=version))
    print_json(view) if options.json else _print_header(view)


@policy.command
async def rollback(*, reason: str = "rolled back by an operator", options: Options = PLAIN) -> None:
    """Put the version before the one in force back.

    Args:
        reason: Why; it stands in the ledger.
    """
    async with gateway() as client:
        view = await client.call(api.ROLL_BACK_POLICY, api.RollbackRequest(reason=reason))
    print_json(view) if options.json else _print_header(view)


async def _view(as_of: str | None = None) -> PolicyView:
    async with gateway() as client:
        return await client.call(api.GET_POLICY, query=PolicyQuery(as_of=as_of))


def _print_header(view: PolicyView) -> None:
    what = "the built-in policy (everything to the default profile)" if view.in_force is None else "in force"
    say(f"version {view.version}: {what}, as of seq {view.as_of_seq}")
    say(f"profiles: {', '.join(profile.name for profile in view.parameters.profiles)}")


def _print_proposal(view: PolicyView) -> None:
    proposal = view.proposal
    if proposal is None:
        say("nothing is proposed")
        return
    say(f"version {proposal.version} is proposed: {proposal.reason}; {proposal.evaluation.readiness}")
    _print_lines("changes", proposal.diff)
    for check in proposal.evaluation.checks:
        say(f"  {'passed' if check.passed else 'FAILED'} {check.name}: {check.detail}")
    print_table(
        ("task type", "in force", "doubly robust", "95 %", "IPS", "outcomes"),
        [
            (
                *(task.task_type, f"{task.incumbent.value:.1%}", f"{task.doubly_robust.value:.1%}"),
                f"{task.doubly_robust.low:.1%} to {task.doubly_robust.high:.1%}",
                *(f"{task.ips.value:.1%}", f"{task.outcomes:.0f}"),
            )
            for task in proposal.evaluation.tasks
        ],
    )
    say(f"put it in force with: ironclaw policy promote {proposal.version}")


def _print_lines(head: str, lines: list[str]) -> None:
    for line in lines:
        say(f"  {head}: {line}")


def _task(tasks: list[TaskPolicy], task_type: str) -> TaskPolicy | None:
    return next((task for task in tasks if task.task_type == task_type), None)


def _shares(view: PolicyView, task_type: str) -> str:
    default = {view.parameters.default_profile: 1.0}
    shares = view.in_force.shares(task_type) if view.in_force else default
    return ", ".join(f"{name} {share:.1%}" for name, share in sorted(shares.items(), key=lambda s: -s[1]))


def _share(view: PolicyView, task_type: str, profile: str) -> str:
    default = {view.parameters.default_profile: 1.0}
    shares = view.in_force.shares(task_type) if view.in_force else default
    return f"{shares.get(profile, 0.0):.1%}"


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _span(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:.1%} to {interval.high:.1%}"


def _seconds(figures: Figures, which: str) -> str:
    return "" if figures.latency_seconds is None else f"{getattr(figures.latency_seconds, which):.3g} s"
