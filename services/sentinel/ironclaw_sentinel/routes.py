"""HTTP in, HTTP out."""

from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import sentinel as api
from ironclaw_contracts.enums import Service
from ironclaw_sentinel.auditor import Auditor


def build_routes(auditor: Auditor) -> Routes:
    """Return the sentinel's routes."""
    routes = Routes(Service.SENTINEL)

    @routes.serve(api.AUDIT)
    async def audit(_: Call[Nothing, Nothing]) -> api.Audit:
        return await auditor.audit()

    return routes
