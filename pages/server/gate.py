"""Checks every request before it reaches the dashboard: who sends it, from which page, and to which host name.

Any web page that is open in the same browser can send requests to localhost, and a name that its owner points at
127.0.0.1 makes them look like the dashboard's own (DNS rebinding). So a request passes only under a name of this
machine and from the dashboard's own pages. If there is an access token, the request also needs the token or a session
that was started with it. `docs/security.md` says more.
"""

import asyncio
import hmac
import html
import ipaddress
import socket
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pages.server.connections import LET_IN
from pages.server.sessions import RANDOM_NAME, Session, Sessions

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN = "/_stcore/health"  # needs no token: it only says that the server runs
ENTRY = "/access"
LEAVE = "/access/leave"
THIS_MACHINE = "this machine"  # the peer of every connection from this machine
_MOST = 4096  # bytes of an entry form
_HEADERS = {
    "content-security-policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
    "x-frame-options": "SAMEORIGIN",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Socrates</title>{head}
<style>body{{font:16px system-ui;margin:15vh auto;max-width:26rem;padding:0 1rem}}
input,button{{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.5rem 0}}</style>
<h1>Socrates</h1><p>{sentence}</p>{body}"""
_FORM = """<form method="post" action="/access">
<label>Access token <input type="password" name="token" autofocus required autocomplete="current-password"></label>
<input type="hidden" name="next" value="{page}"><button>Enter</button></form>"""
_MOVES = """<p><small>After you sign in, the browser moves to an address that ends in .localhost. Firefox, Chrome and
Edge open it; Safari may not.</small></p>"""


class Gate:
    """An ASGI application that passes on allowed requests. It asks for `token` unless that is empty."""

    def __init__(self, inner: ASGIApp, host: str, port: int, token: str) -> None:
        self._inner, self._token = inner, token
        self._names = LOCAL | names_of(host)
        self._any_address = _is_everywhere(host)
        # Cookies know no ports: without the number, two dashboards under one name would overwrite each other's.
        self._cookie = f"socrates_{port}"
        self._sessions = Sessions()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._inner(scope, receive, send)
        session = self._session(scope)
        answer = self._refusal(scope) or await self._entry(scope, receive, session)
        if answer is None:
            # The health check is open to everybody, so it must not earn its sender a connection that stays.
            if scope["path"] != OPEN:
                scope[LET_IN] = True
            if session and scope["type"] == "websocket":
                return await _until_the_end(session, self._inner, _as_local(scope), receive, send)
            return await self._inner(_as_local(scope), receive, _with_headers(send))
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        return await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin = headers.get("origin")
        name = _name(host)
        mode = headers.get("sec-fetch-mode")
        opened = scope.get("method") == "GET" and mode == "navigate"
        if not self._is_known(name):
            if RANDOM_NAME.fullmatch(name) and scope.get("method") == "GET" and mode in (None, "navigate"):
                return _to_localhost(scope)  # a link of a session that has ended
            return _refused(f"This dashboard does not answer to the name {name!r}.", 421)
        if origin is not None and urlsplit(origin).netloc != host:
            return _refused("Only the dashboard's own pages may send this.", 403)
        # A link on another site may open a page. Another port of localhost is "same-site", and may do no more.
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not opened:
            return _refused("Only the dashboard's own pages may ask for this.", 403)
        return None

    def _is_known(self, name: str) -> bool:
        if name in self._names or (self._any_address and _is_address(name)):
            return True
        return self._sessions.has_random_name(name)

    def _session(self, scope: Scope) -> Session | None:
        secret = Request({**scope, "type": "http"}).cookies.get(self._cookie, "")
        return self._sessions.find(secret, _name_in(scope), _peer(scope))

    async def _entry(self, scope: Scope, receive: Receive, session: Session | None) -> Response | None:
        """The answer that signs a person in or out, or asks for the token; None for a request that may pass."""
        path = scope["path"]
        if not self._token or path == OPEN:
            return None
        if scope["type"] == "websocket":
            return None if session or self._has_bearer(scope) else _refused("Sign in first.", 401)
        request = Request(scope, receive)
        if path == LEAVE:
            return self._leave(request, session)
        if session or self._has_bearer(scope):
            return RedirectResponse("/", 303) if path == ENTRY else None
        if self._sessions.has_random_name(_name_in(scope)):
            return self._redeem(request)
        if path == ENTRY and request.method == "POST":
            return await self._sign_in(request)
        page = f"{path}?{request.url.query}" if request.url.query else path
        return self._form(
            scope, "This dashboard asks for its access token: the value of SOCRATES_TOKEN.", page
        )

    async def _sign_in(self, request: Request) -> Response:
        """Starts a session for the right token, under a random name if the browser is on this machine."""
        fields = parse_qs((await _body(request)).decode("utf-8", "replace"))
        page = _own_path(fields.get("next", ["/"])[0])
        if not _same(fields.get("token", [""])[0], self._token):
            return self._form(request.scope, "That is not the access token. Try again.", page)
        name, peer = _name_in(request.scope), _peer(request.scope)
        # A cookie on localhost would reach every server of this machine. So the browser moves to a random name,
        # where the ticket gets it the cookie.
        if name in LOCAL or peer == THIS_MACHINE:
            session = self._sessions.start(peer)
            query = urlencode({"ticket": self._sessions.ticket_for(session), "next": page})
            return RedirectResponse(f"http://{session.name}{_port(request.scope)}{ENTRY}?{query}", 303)
        return self._with_cookie(RedirectResponse(page, 303), self._sessions.start(peer, name))

    def _redeem(self, request: Request) -> Response:
        """Sets the cookie on a session's own name for a browser that has its ticket."""
        if request.method != "GET":
            return _refused("Sign in first.", 401)
        if request.url.path != ENTRY:
            return _to_localhost(request.scope)
        ticket, page = (request.query_params.get(key, "") for key in ("ticket", "next"))
        page = _own_path(page)
        session = self._sessions.redeem(ticket, _name_in(request.scope), _peer(request.scope))
        if session is None:
            return _to_localhost(request.scope)
        # Not a redirect: this request began at another name, and browsers send no strict cookie on its redirects.
        moving = f'<meta http-equiv="refresh" content="0; url={html.escape(page)}">'
        link = f'<p><a href="{html.escape(page)}">Open the dashboard</a></p>'
        return self._with_cookie(_page("You are signed in.", body=link, head=moving), session)

    def _with_cookie(self, answer: Response, session: Session) -> Response:
        seconds = session.seconds_left()
        answer.set_cookie(
            self._cookie, session.secret, max_age=seconds, httponly=True, samesite="strict", path="/"
        )
        answer.headers["cache-control"] = "no-store"
        return answer

    def _leave(self, request: Request, session: Session | None) -> Response:
        has_random_name = RANDOM_NAME.fullmatch(_name_in(request.scope))
        if session:
            self._sessions.end(session)
        elif has_random_name:
            return _to_localhost(request.scope)
        back = f"http://localhost{_port(request.scope)}/" if has_random_name else "/"
        answer = _page("You are signed out.", body=f'<p><a href="{html.escape(back)}">Sign in again</a></p>')
        answer.delete_cookie(self._cookie, path="/", httponly=True, samesite="strict")
        answer.headers["cache-control"] = "no-store"
        return answer

    def _form(self, scope: Scope, sentence: str, page: str) -> Response:
        on_this_machine = _name_in(scope) in LOCAL or _peer(scope) == THIS_MACHINE
        fields = _FORM.format(page=html.escape(_own_path(page)))
        return _page(sentence, body=fields + (_MOVES if on_this_machine else ""), status=401)

    def _has_bearer(self, scope: Scope) -> bool:
        return _same(Headers(scope=scope).get("authorization", "").removeprefix("Bearer "), self._token)


def names_of(host: str) -> frozenset[str]:
    """The host names that the server answers to when it listens on `host`, in lower case."""
    names: Iterable[str] = [socket.gethostname(), socket.getfqdn()] if _is_everywhere(host) else [host]
    return frozenset(name.lower().rstrip(".") for name in names if name)


def _is_everywhere(host: str) -> bool:
    return host in ("0.0.0.0", "::")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """The name in a Host header, without its port; empty if the header is not valid."""
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "").rstrip(".") if parts.port != 0 else ""
    except ValueError:
        return ""


def _name_in(scope: Scope) -> str:
    return _name(Headers(scope=scope).get("host", ""))


def _port(scope: Scope) -> str:
    """The port at which the browser reaches this server, as in `:8501`. A tunnel may have another port than ours."""
    port = urlsplit(f"//{Headers(scope=scope).get('host', '')}").port
    return f":{port}" if port else ""


def _peer(scope: Scope) -> str:
    """The address of the program that sends the request. All addresses of this machine are one peer."""
    address = str((scope.get("client") or ("",))[0])
    return THIS_MACHINE if _is_of_this_machine(address) else address


def _is_of_this_machine(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
        # A socket on :: names its IPv4 peers ::ffff:1.2.3.4.
        parsed = getattr(parsed, "ipv4_mapped", None) or parsed
        if parsed.is_loopback:
            return True
        with socket.socket(socket.AF_INET if parsed.version == 4 else socket.AF_INET6) as probe:
            probe.bind((str(parsed), 0))  # succeeds only for the machine's own addresses
            return True
    except (ValueError, OSError):
        return False


def _own_path(page: str) -> str:
    """A path of this server, whatever a form says."""
    # Quoting removes tabs and line breaks, which a browser would skip and so read "/\t/host" as "//host".
    quoted = quote(page, safe="/%?=&+,:;@!$'()*[]~")
    return quoted if page.startswith("/") and not page.startswith(("//", "/\\", ENTRY)) else "/"


def _same(text: str, right: str) -> bool:
    # As bytes: compare_digest refuses text outside ASCII.
    return hmac.compare_digest(text.encode("utf-8", "replace"), right.encode())


def _refused(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence, status)


def _to_localhost(scope: Scope) -> Response:
    """Redirects a link under the name of a session to the same page of plain localhost, where a person can sign in."""
    path = quote(scope["path"])
    query = scope["query_string"].decode("latin-1")
    page = _own_path(f"{path}?{query}" if query else path)
    if path == LEAVE:
        page = LEAVE  # _own_path refuses everything under /access
    return RedirectResponse(f"http://localhost{_port(scope)}{page}", 303)


def _page(sentence: str, *, body: str, head: str = "", status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(head=head, sentence=html.escape(sentence), body=body), status)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST:
            return b""
    return body


async def _until_the_end(
    session: Session, inner: ASGIApp, scope: Scope, receive: Receive, send: Send
) -> None:
    """Passes a websocket on, and closes it when its session ends."""
    closed = False

    async def close() -> None:
        nonlocal closed
        await session.wait_for_end()
        closed = True
        with suppress(OSError):  # the browser has closed it already
            await send({"type": "websocket.close", "code": 1008, "reason": "signed out"})

    async def receiving() -> Message:
        message = await receive()
        # `close` may be a step late; nothing that arrives after the session's end may reach the page.
        return message if session.is_live() else {"type": "websocket.disconnect", "code": 1008}

    async def sending(message: Message) -> None:
        if not closed:  # the server accepts nothing after a close
            await send(message)

    closing = asyncio.create_task(close())
    try:
        await inner(scope, receiving, sending)
    finally:
        closing.cancel()


def _as_local(scope: Scope) -> Scope:
    """The request with a local origin. The gate has checked the real one, and for another than localhost Streamlit
    would ask a server on the internet for this machine's address.
    """
    headers = [
        (name, b"http://localhost" if name == b"origin" else value) for name, value in scope["headers"]
    ]
    return {**scope, "headers": headers}


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
        await send(message)

    return sending
