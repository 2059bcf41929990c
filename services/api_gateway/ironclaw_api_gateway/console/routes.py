"""HTTP for browsers: sessions, forms and their tokens, streams, and headers that keep pages to themselves."""

from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from litestar import Response, Router, get, post
from litestar.connection import Request
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect as SeeOther
from litestar.static_files import create_static_files_router
from litestar_htmx import ClientRedirect, HTMXRequest

from ironclaw_api_gateway.console.pages import Action, Asked, Fetch, Form, Fragment, Redirect, View
from ironclaw_api_gateway.console.rendering import STATIC, STATIC_PATH
from ironclaw_api_gateway.console.sessions import LIFETIME, SignInNeeded, Visitor, check_form_token
from ironclaw_api_gateway.console.site import LIVE_SUFFIX, Site
from ironclaw_api_gateway.parts import Gateway
from ironclaw_chassis.problems import as_problem
from ironclaw_chassis.routes import event_stream
from ironclaw_contracts.errors import BadRequest, Forbidden, NotFound, Problem, Unauthenticated
from ironclaw_contracts.ids import check_id, new_id

log = structlog.get_logger()

SIGN_IN = "/console/sign-in"
SIGN_OUT = "/console/sign-out"
_FORM_BYTES_MAX = 512 * 1024
_YEAR_SECONDS = 31_536_000
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self';"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_PRIVATE = {**_HEADERS, "Cache-Control": "no-store"}
_ALONE = {**_PRIVATE, "Content-Security-Policy": "default-src 'none'; sandbox"}
"""For bytes that a unit made: whatever a browser takes them for, they may do nothing."""

_VISITOR = "visitor"

Browser = HTMXRequest


class Console:
    """Turns views, actions and fetches into routes."""

    def __init__(self, site: Site, gateway: Gateway, port: int) -> None:
        self._site = site
        self._gateway = gateway
        # Browsers send a cookie to every port of a host: two fleets on one machine need two names.
        self._session = f"ironclaw_session_{port}"
        self._form = f"ironclaw_form_{port}"

    def router(self, views: list[View], actions: list[Action], fetches: list[Fetch]) -> list[Router]:
        """Return the routers of the console."""
        handlers = [
            *(handler for view in views for handler in self._view(view)),
            *(self._action(action) for action in actions),
            *(self._fetch(fetch) for fetch in fetches),
            *self._sign_in(),
        ]

        def render_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
            return self._render_error(request, error)  # a plain function: Litestar copies its handlers deeply

        pages = Router(
            path="/",
            route_handlers=handlers,
            request_class=HTMXRequest,
            exception_handlers={Exception: render_error},
            include_in_schema=False,
            request_max_body_size=_FORM_BYTES_MAX,
        )
        assets = create_static_files_router(
            path=STATIC_PATH,
            directories=[STATIC],
            include_in_schema=False,
            after_request=_keep,
        )
        return [pages, assets]

    def _view(self, view: View) -> list[HTTPRouteHandler]:
        @get(view.path)
        async def show(request: Browser) -> Response[str]:
            asked = await self._asked(request, operators=view.operators)
            context = await view.gather(asked)
            return _html(self._site.page(view, asked, context, _address(request)))

        @get(view.path.rstrip("/") + LIVE_SUFFIX)
        async def follow(request: Browser) -> Response[Any]:
            cookie = request.cookies.get(self._session, "")

            async def checked() -> None:
                await self._gateway.sessions.visitor(cookie)

            asked = await self._asked(request, operators=view.operators, following=True)
            return event_stream(self._site.follow(view, asked, checked), _PRIVATE)

        return [show, follow] if view.parts else [show]

    def _action(self, action: Action) -> HTTPRouteHandler:
        @post(action.path, status_code=200)
        async def act(request: Browser) -> Response[Any]:
            asked = await self._asked(request, operators=action.operators)
            form = await _form(request)
            check_form_token(form.pop("token", ""), asked.visitor.token)
            outcome = await action.act(asked, form)
            if isinstance(outcome, Redirect):
                return _redirect(request, outcome.path)
            return self._fragment(request, asked, outcome)

        return act

    def _fragment(self, request: Browser, asked: Asked, outcome: Fragment) -> Response[str]:
        html = self._site.render(outcome.template, {"visitor": asked.visitor, **outcome.context})
        if request.htmx:
            return _html(html)
        return _html(self._site.render("outcome.html", {**self._site.frame(asked), "outcome": html}))

    def _fetch(self, fetch: Fetch) -> HTTPRouteHandler:
        @get(fetch.path)
        async def download(request: Browser) -> Response[bytes]:
            found = await fetch.fetch(await self._asked(request, operators=fetch.operators))
            how = "inline" if found.inline_type else "attachment"
            headers = {
                **_ALONE,
                "Content-Disposition": f"{how}; filename*=UTF-8''{quote(found.name, safe='')}",
            }
            return Response(
                found.content, media_type=found.inline_type or "application/octet-stream", headers=headers
            )

        return download

    def _sign_in(self) -> list[HTTPRouteHandler]:
        @get(SIGN_IN)
        async def ask(request: Browser) -> Response[str]:
            return self._sign_in_page(request, request.query_params.get("next", "/"), None)

        @post(SIGN_IN, status_code=200)
        async def sign_in(request: Browser) -> Response[Any]:
            form = await _form(request)
            check_form_token(form.get("token", ""), request.cookies.get(self._form, ""))
            try:
                cookie = await self._gateway.sessions.open(form.get("key", ""))
            except Unauthenticated as problem:
                return self._sign_in_page(request, form.get("next", "/"), problem)
            response: Response[Any] = _redirect(request, _own_path(form.get("next", "/")))
            response.set_cookie(self._cookie(request, self._session, cookie, int(LIFETIME.total_seconds())))
            return response

        @post(SIGN_OUT, status_code=200)
        async def sign_out(request: Browser) -> Response[Any]:
            asked = await self._asked(request, operators=False)
            check_form_token((await _form(request)).get("token", ""), asked.visitor.token)
            await self._gateway.sessions.close(request.cookies.get(self._session, ""))
            response = _redirect(request, SIGN_IN)
            response.set_cookie(self._cookie(request, self._session, "", 0))
            return response

        @get(["/console", "/console/{path:path}"])
        async def elsewhere(request: Browser) -> Response[str]:
            raise NotFound(f"there is no page {request.url.path}")

        return [ask, sign_in, sign_out, elsewhere]

    def _sign_in_page(self, request: Browser, next_path: str, problem: Problem | None) -> Response[str]:
        token = request.cookies.get(self._form) or new_id()
        context = {**self._site.frame(None), "token": token, "next": _own_path(next_path), "problem": problem}
        response = _html(self._site.render("sign_in.html", context), 200 if problem is None else 401)
        response.set_cookie(self._cookie(request, self._form, token, 3_600))
        return response

    @staticmethod
    def _cookie(request: Browser, name: str, value: str, seconds: int) -> Cookie:
        return Cookie(
            key=name,
            value=value,
            max_age=seconds,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )

    async def _asked(self, request: Browser, *, operators: bool, following: bool = False) -> Asked:
        """Return who asks for what. Raises `SignInNeeded`, `Forbidden`, `RateLimited` or `BadId`."""
        visitor = await self._gateway.sessions.counted(request.cookies.get(self._session, ""))
        request.state[_VISITOR] = visitor  # for the page of an error
        if operators and not visitor.operator:
            raise Forbidden("this page needs an operator's key; yours is a user's")
        path = {name: str(value) for name, value in request.path_params.items()}
        for name, value in path.items():
            check_id(value, name)
        query = {name: str(value) for name, value in request.query_params.items()}
        if any("\x00" in value for value in query.values()):
            raise BadRequest("the address holds a NUL character")
        return Asked(visitor, path, query, following)

    def _render_error(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        problem = as_problem(error)
        if isinstance(problem, SignInNeeded):
            return self._to_sign_in(request)
        if problem.status >= 500:
            log.error("page failed", path=request.url.path, code=problem.code, exc_info=error)
        if request.headers.get("hx-request"):
            # htmx shows a refusal where the answer would have been.
            html = self._site.render("trouble.html", {"problem": problem})
            return _html(html, problem.status)
        visitor: Visitor | None = request.scope["state"].get(_VISITOR)
        asked = Asked(visitor, {}, {}) if visitor is not None else None
        page = self._site.render("error.html", {**self._site.frame(asked), "problem": problem})
        return _html(page, problem.status)

    def _to_sign_in(self, request: Request[Any, Any, Any]) -> Response[Any]:
        if request.url.path.endswith(LIVE_SUFFIX):
            return Response(
                "event: signed-out\ndata: signed out\n\n", media_type="text/event-stream", headers=_PRIVATE
            )
        asked = _address(request)
        path = (
            SIGN_IN if request.method != "GET" or asked == "/" else f"{SIGN_IN}?next={quote(asked, safe='')}"
        )
        if request.headers.get("hx-request"):
            return ClientRedirect(path)
        return SeeOther(path, status_code=303, headers=_PRIVATE)


def _address(request: Request[Any, Any, Any]) -> str:
    """Return the path that was asked for, with its query."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _html(text: str, status: int = 200) -> Response[str]:
    return Response(str(text), status_code=status, media_type="text/html; charset=utf-8", headers=_PRIVATE)


def _redirect(request: Browser, path: str) -> Response[Any]:
    return ClientRedirect(path) if request.htmx else SeeOther(path, status_code=303, headers=_PRIVATE)


def _keep(response: Response[Any]) -> Response[Any]:
    """Let browsers keep an asset: its address changes with its content."""
    response.headers.update({**_HEADERS, "Cache-Control": f"public, max-age={_YEAR_SECONDS}, immutable"})
    return response


def _own_path(path: str) -> str:
    """Return a path of this site, `/` for anything else that a link could have brought."""
    parts = urlsplit(path)
    safe = (
        path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    )
    return path if safe and path.isprintable() else "/"


async def _form(request: Browser) -> Form:
    """Return the fields of a form that this site's own page sent. Raises `Forbidden` or `BadRequest`."""
    _check_origin(request)
    given = await request.form()
    fields = {name: value for name, value in given.items() if isinstance(value, str)}
    for name, value in fields.items():
        if "\x00" in value:
            raise BadRequest(f"{name} holds a NUL character; remove it")
    return fields


def _check_origin(request: Browser) -> None:
    """Raise `Forbidden` for a form that another site's page sent."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = site not in {None, "same-origin", "none"}
    if foreign or (origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")):
        raise Forbidden("the form came from another site's page")
