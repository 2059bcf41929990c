"""Help: what every state, cause and escalation means."""

from ironclaw_api_gateway.console.pages import Asked, Context, Pages, View


def add_help(pages: Pages) -> None:
    """Register the page."""

    async def gather(_: Asked) -> Context:
        return {}

    pages.views.append(View(path="/console/help", name="help", gather=gather))
