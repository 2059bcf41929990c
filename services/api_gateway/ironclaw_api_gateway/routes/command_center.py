"""The command center, put together from openclawdbot's answers."""

import asyncio

import msgspec
from msgspec import Struct

from ironclaw_chassis.client import ServiceClient
from ironclaw_chassis.routes import Call, Routes
from ironclaw_contracts.endpoint import Nothing
from ironclaw_contracts.endpoints import api_gateway as api
from ironclaw_contracts.endpoints import openclawdbot as bot
from ironclaw_contracts.endpoints.api_gateway.command_center import Demand, Overview
from ironclaw_contracts.milestones import Milestone

_FEED = "50"


class _Feed(Struct, frozen=True):
    items: list[Milestone]


def add_command_center_routes(routes: Routes, client: ServiceClient) -> None:
    """Register the command center."""

    @routes.serve(api.COMMAND_CENTER)
    async def command_center(_: Call[Nothing, Nothing]) -> api.CommandCenter:
        overview, demand, feed = await asyncio.gather(
            client.read(bot.OVERVIEW),
            client.read(bot.DEMAND),
            client.read(bot.LATEST_MILESTONES, bot.FeedQuery(limit=_FEED)),
        )
        return api.CommandCenter(
            overview=msgspec.json.decode(overview, type=Overview),
            demand=msgspec.json.decode(demand, type=Demand),
            feed=msgspec.json.decode(feed, type=_Feed).items,
        )
