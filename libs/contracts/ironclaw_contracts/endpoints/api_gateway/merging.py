"""What operators do about merges: gates, their outputs, decisions, a merge by hand."""

from typing import Annotated

from msgspec import Meta, Struct

from ironclaw_contracts.as_of import AsOfQuery
from ironclaw_contracts.endpoint import OPERATORS, USERS, Endpoint, Nothing
from ironclaw_contracts.endpoints.integration import (
    Decided,
    IntegrationAnswer,
    IntegrationRequest,
    ReportFigures,
    TheaterGates,
    Weather,
)
from ironclaw_contracts.enums import Service


class DecisionRequest(Struct, frozen=True, kw_only=True):
    """A decision on work that passed its gates; who decides is who holds the key."""

    approved: bool
    note: Annotated[str, Meta(max_length=1_000)] = ""


INTEGRATE = Endpoint(
    service=Service.API_GATEWAY,
    name="integrate",
    method="POST",
    path="/integrate",
    summary="Gate one order and promote it now.",
    body=IntegrationRequest,
    query=Nothing,
    answer=IntegrationAnswer,
    callers=OPERATORS,
    timeout_seconds=120.0,
)
SHOW_GATES = Endpoint(
    service=Service.API_GATEWAY,
    name="show_gates",
    method="GET",
    path="/theaters/{theater_id}/gates",
    summary="The gates that a theater's mainline asks for, and whether each can fail; now or as of then.",
    body=Nothing,
    query=AsOfQuery,
    answer=TheaterGates,
    callers=OPERATORS,
    timeout_seconds=30.0,
)
PROVE_GATES = Endpoint(
    service=Service.API_GATEWAY,
    name="prove_gates",
    method="POST",
    path="/theaters/{theater_id}/gates/prove",
    summary="Have every gate refuse its planted bad commit now.",
    body=Nothing,
    query=Nothing,
    answer=TheaterGates,
    callers=OPERATORS,
    timeout_seconds=600.0,
)
READ_OUTPUT = Endpoint(
    service=Service.API_GATEWAY,
    name="read_output",
    method="GET",
    path="/outputs/{output_id}",
    summary="What a gate's command printed, by its SHA-256.",
    body=Nothing,
    query=Nothing,
    answer=bytes,
    form="bytes",
    callers=OPERATORS,
)
DECIDE = Endpoint(
    service=Service.API_GATEWAY,
    name="decide",
    method="POST",
    path="/orders/{order_id}/decision",
    summary="Approve or refuse work that passed its gates.",
    body=DecisionRequest,
    query=Nothing,
    answer=Decided,
    callers=OPERATORS,
    timeout_seconds=30.0,
)
REPORT_FIGURES = Endpoint(
    service=Service.API_GATEWAY,
    name="report_figures",
    method="GET",
    path="/reports/figures",
    summary="How often the reports of each profile claimed what was not so.",
    body=Nothing,
    query=Nothing,
    answer=ReportFigures,
    callers=OPERATORS,
)
GET_WEATHER = Endpoint(
    service=Service.API_GATEWAY,
    name="get_weather",
    method="GET",
    path="/theaters/{theater_id}/weather",
    summary="Which branches in flight will get in each other's way.",
    body=Nothing,
    query=Nothing,
    answer=Weather,
    callers=USERS,
    timeout_seconds=60.0,
)
ENDPOINTS = (INTEGRATE, SHOW_GATES, PROVE_GATES, READ_OUTPUT, DECIDE, REPORT_FIGURES, GET_WEATHER)
