"""HTTP in, HTTP out."""

from ironclaw_chassis.reconciler import Reconciler
from ironclaw_chassis.routes import Call, Routes
from ironclaw_co.acknowledging import Acknowledging
from ironclaw_co.admission import Admission
from ironclaw_co.commander import Commander
from ironclaw_co.parts import Parts
from ironclaw_co.progress import IN_FLIGHT
from ironclaw_co.replaying import Replaying
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import co as api
from ironclaw_contracts.enums import OrderPhase, Service
from ironclaw_contracts.errors import Conflict
from ironclaw_contracts.snapshots import RunSnapshot, RunView


def build_routes(
    admission: Admission,
    commander: Commander,
    acknowledging: Acknowledging,
    replaying: Replaying,
    parts: Parts,
    reconciler: Reconciler,
) -> Routes:
    """Return co's routes."""
    routes = Routes(Service.CO)

    @routes.serve(api.CREATE_RUN)
    async def create_run(call: Call[api.RunRequest, Nothing]) -> RunSnapshot:
        admitted = await admission.create(call.body)
        commander.begin(admitted)
        reconciler.nudge(admitted.run.run_id)
        return admitted.run

    @routes.serve(api.PLAN_RUN)
    async def plan_run(call: Call[Nothing, Nothing]) -> api.Planned:
        return _planned(await commander.advance(call.path["run_id"]))

    @routes.serve(api.DISPATCH_RUN)
    async def dispatch_run(call: Call[Nothing, Nothing]) -> api.Dispatched:
        view = await commander.advance(call.path["run_id"])
        return api.Dispatched(
            run_id=view.run.run_id,
            enqueued=[o.order_id for o in view.orders if o.phase in IN_FLIGHT],
            waiting=[o.order_id for o in view.orders if o.phase is OrderPhase.PLANNED],
        )

    @routes.serve(api.SYNTHESIZE_RUN)
    async def synthesize_run(call: Call[Nothing, Nothing]) -> api.Synthesized:
        run = (await commander.advance(call.path["run_id"])).run
        return api.Synthesized(run_id=run.run_id, status=run.status, reply=run.reply, artifacts=run.artifacts)

    @routes.serve(api.CANCEL_RUN)
    async def cancel_run(call: Call[api.Cancellation, Nothing]) -> RunSnapshot:
        run = await admission.cancel(call.path["run_id"], call.body)
        reconciler.nudge(run.run_id)
        return run

    @routes.serve(api.REPLAY_RUN)
    async def replay_run(call: Call[api.ReplayRequest, Nothing]) -> api.Replay:
        replay = await replaying.replay(call.path["run_id"], call.body)
        for part in replay.parts:
            reconciler.nudge(part.run_id)
        return replay

    @routes.serve(api.ACK_ESCALATION)
    async def ack_escalation(call: Call[api.Acknowledgement, Nothing]) -> api.Acknowledged:
        return await acknowledging.acknowledge(call.path["escalation_id"], call.body)

    @routes.serve(api.LIST_OUTBOX)
    async def list_outbox(call: Call[Nothing, api.OutboxQuery]) -> api.OutboxPage:
        return await parts.publishing.listed(call.query)

    @routes.serve(api.REDELIVER)
    async def redeliver(call: Call[api.Redelivery, Nothing]) -> api.OutboxPage:
        return await parts.publishing.redeliver(call.body)

    @routes.serve(api.EMIT_MILESTONE)
    async def emit_milestone(call: Call[api.HandMade, Nothing]) -> api.OutboxPage:
        return await parts.publishing.emit(call.body)

    return routes


def _planned(view: RunView) -> api.Planned:
    if view.run.plan is None:
        raise Conflict(f"run {view.run.run_id} has no plan: {view.run.reason or view.run.status}")
    tasks = view.run.plan.tasks
    return api.Planned(
        run_id=view.run.run_id,
        order_ids=[task.order_id for task in tasks],
        dependencies={task.order_id: list(task.depends_on) for task in tasks},
        plan=view.run.plan,
    )
