"""Composition root of the console."""

from litestar import Router

from ironclaw_api_gateway.chat import Chat
from ironclaw_api_gateway.console.pages import Pages
from ironclaw_api_gateway.console.pulse import Pulse
from ironclaw_api_gateway.console.routes import Console
from ironclaw_api_gateway.console.site import Site
from ironclaw_api_gateway.console.views.chat import add_chat
from ironclaw_api_gateway.console.views.command_center import add_command_center
from ironclaw_api_gateway.console.views.help import add_help
from ironclaw_api_gateway.console.views.ledger import add_ledger
from ironclaw_api_gateway.console.views.order import add_order
from ironclaw_api_gateway.console.views.policy import add_policy
from ironclaw_api_gateway.console.views.run import add_run
from ironclaw_api_gateway.console.views.runs import add_runs
from ironclaw_api_gateway.console.views.theaters import add_theaters
from ironclaw_api_gateway.console.views.watch import add_watch
from ironclaw_api_gateway.orders import Orders
from ironclaw_api_gateway.parts import Gateway
from ironclaw_api_gateway.streams import Streams
from ironclaw_chassis.client import ServiceClient


def build_console(
    client: ServiceClient,
    gateway: Gateway,
    chat: Chat,
    orders: Orders,
    pulse: Pulse,
    streams: Streams,
    port: int,
) -> list[Router]:
    """Return the console's routers. `port` tells its cookies from those of another fleet on this host."""
    pages = Pages()
    add_chat(pages, client, chat)
    add_runs(pages, client)
    add_run(pages, client)
    add_order(pages, client, orders)
    add_theaters(pages, client)
    add_watch(pages, client)
    add_command_center(pages, client)
    add_policy(pages, client)
    add_ledger(pages, client)
    add_help(pages)
    console = Console(Site(pulse, streams), gateway, port)
    return console.router(pages.views, pages.actions, pages.fetches)
