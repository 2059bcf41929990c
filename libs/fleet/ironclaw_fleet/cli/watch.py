"""The watchdogs: patrol, audit, recover, grades, drill."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from ironclaw_contracts.artifacts import Constraints
from ironclaw_contracts.drills import DRILL, DRILL_BUDGET_SECONDS, DRILL_OBJECTIVE, DRILL_THEATER, Fault
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints.duty_officer import Grade, GradesQuery
from ironclaw_contracts.endpoints.vault import TheaterRequest
from ironclaw_contracts.ids import new_id
from ironclaw_contracts.plan import Budget
from ironclaw_fleet.cli.arguments import Identifier
from ironclaw_fleet.cli.output import PLAIN, Options, ago, print_json, print_table, say
from ironclaw_fleet.cli.progress import ended_run
from ironclaw_fleet.cli.session import Failed, gateway

_DRILL_DEADLINE_SECONDS = 600


async def patrol(theater: Identifier | None = None, *, options: Options = PLAIN) -> None:
    """Run one patrol now: of the duty officer, or of the observer over one theater.

    Args:
        theater: The observer looks at this theater; the duty officer at the fleet otherwise.
    """
    async with gateway() as client:
        if theater is None:
            found = await client.call(api.PATROL)
            lines = [f"{i.order_id}: {i.rule}, {i.action}: {i.detail}" for i in found.interventions]
            answer: object = found
        else:
            seen = await client.call(api.PATROL_THEATER, theater_id=theater)
            lines = [f"{f.order_id or '-'}: {f.check}: {f.detail}" for f in seen.findings]
            answer = seen
    if options.json:
        print_json(answer)
        return
    for line in lines or ["nothing found"]:
        say(line)


async def audit(*, options: Options = PLAIN) -> None:
    """Have the sentinel audit the duty officer now; exits with 1 when there is a concern."""
    async with gateway() as client:
        found = await client.call(api.AUDIT)
    if options.json:
        print_json(found)
    else:
        last = f"{ago(found.last_tick_at)} ago by {found.last_tick_by}" if found.last_tick_at else "never"
        trend = (
            f"{found.backlog_per_minute:+.1f} a minute" if found.backlog_per_minute is not None else "unknown"
        )
        say(f"last patrol: {last}; open orders: {found.backlog or 0:.0f}, trend {trend}")
        if found.failover:
            say("the sentinel patrols in the duty officer's place")
        for concern in found.concerns:
            say(f"{concern.severity} {concern.check}: {concern.reason}")
    if found.concerns:
        raise Failed()


async def recover(order_id: Identifier, *, options: Options = PLAIN) -> None:
    """Give an order that failed, was rejected, or is blocked a new attempt now; its work is kept first.

    Args:
        order_id: The order.
    """
    async with gateway() as client:
        done = await client.call(api.RECOVER_ORDER, order_id=order_id)
    print_json(done) if options.json else say(f"{done.order_id}: {done.action}: {done.detail}")


async def grades(run: Identifier | None = None, *, options: Options = PLAIN) -> None:
    """Show how often each rule of the patrol was right, in all or in one run.

    Args:
        run: Only this run's interventions.
    """
    async with gateway() as client:
        found = await client.call(api.GET_GRADES, query=GradesQuery(run_id=run))
    if options.json:
        print_json(found)
        return
    _print_grades(found.grades)
    for judgement in found.judgements:
        if judgement.verdict == "wrong":
            say(f"wrong: {judgement.order_id} attempt {judgement.attempt}: {judgement.because}")


async def drill(
    *,
    fault: list[Fault] | None = None,
    deadline: Annotated[int, Parameter(validator=Number(gte=10, lte=3_600))] = _DRILL_DEADLINE_SECONDS,
    options: Options = PLAIN,
) -> None:
    """Plant faults in a scratch theater and report which the patrol missed; exits with 1 when it missed any.

    Args:
        fault: A fault to plant, several times for several; all otherwise.
        deadline: Seconds that the drill may take.
    """
    faults = [item.value for item in fault or list(Fault)]
    run_id = new_id()
    request = api.ChatRequest(
        message=DRILL_OBJECTIVE,
        theater_hint=DRILL_THEATER,
        mode="async",
        run_id=run_id,
        playbook=DRILL,
        inputs={"faults": faults},
        constraints=Constraints(budget_seconds=DRILL_BUDGET_SECONDS),
        budget=Budget(deadline_seconds=deadline),
        on_order_failure="continue",
    )
    async with gateway() as client:
        await client.call(api.OPEN_THEATER, TheaterRequest(theater_id=DRILL_THEATER))
        await client.call(api.CHAT, request)
        view = await ended_run(client, run_id)
        found = await client.call(api.GET_GRADES, query=GradesQuery(run_id=run_id))
    if options.json:
        print_json(found)
    else:
        say(f"drill {run_id}: {view.run.status}, {view.run.orders_integrated}/{view.run.orders_total} merged")
        _print_grades(found.grades)
    if any(grade.missed for grade in found.grades) or view.run.orders_integrated < view.run.orders_total:
        raise Failed("the patrol missed a fault: see the log of the duty officer")


def _print_grades(grades: list[Grade]) -> None:
    print_table(
        (
            "rule",
            "acted",
            "right",
            "wrong",
            "open",
            "precision",
            "planted",
            "missed",
            "recall",
            "found after",
        ),
        [
            (
                *(g.rule, g.interventions, g.right, g.wrong, g.open, _share(g.precision)),
                *(g.planted, g.missed, _share(g.recall), _seconds(g.detected_after_seconds_median)),
            )
            for g in grades
        ],
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"
