"""What stands before the dashboard's server: who may ask it, from which page, and under which name.

A web page that is open in the same browser can send requests to localhost, and a name that its owner points at
127.0.0.1 makes them look like the page's own (DNS rebinding). So a request passes only under a name of this machine,
from the dashboard's own pages, and with the access token where there is one. `docs/security.md` says more.
"""

import hmac
import html
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN = "/_stcore/health"  # says that the server runs, and nothing else
ENTRY = "/access"
_MOST = 4096  # bytes of an entry form
_HEADERS = {
    "content-security-policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
    "x-frame-options": "SAMEORIGIN", "x-content-type-options": "nosniff", "referrer-policy": "same-origin",
}  # fmt: skip
_FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Socrates</title>
<style>body{{font:16px system-ui;margin:15vh auto;max-width:26rem;padding:0 1rem}}
input,button{{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.5rem 0}}</style>
<h1>Socrates</h1><p>{told}</p><form method="post" action="/access">
<label>Access token <input type="password" name="token" autofocus required autocomplete="current-password"></label>
<input type="hidden" name="next" value="{page}"><button>Enter</button></form>"""


class Gate:
    """An ASGI application that passes on what may pass; `token` is asked for unless it is empty."""

    def __init__(self, inner: ASGIApp, host: str, port: int, token: str) -> None:
        self._inner, self._token = inner, token
        self._names = LOCAL | names_of(host)
        self._any_address = _is_everywhere(host)
        self._cookie = f"socrates_{port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._inner(scope, receive, send)
        answer = self._refusal(scope) or await self._entry(scope, receive)
        if answer is None:
            return await self._inner(_as_local(scope), receive, _with_headers(send))
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        return await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_known(_name(host)):
            return _refused(f"This dashboard does not answer to the name {_name(host)!r}.", 421)
        if origin is not None and urlsplit(origin).netloc != host:
            return _refused("Only the dashboard's own pages may send this.", 403)
        opened = scope.get("method") == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not opened:
            return _refused("Only the dashboard's own pages may ask for this.", 403)
        return None

    def _is_known(self, name: str) -> bool:
        return name in self._names or (self._any_address and _is_address(name))

    async def _entry(self, scope: Scope, receive: Receive) -> Response | None:
        """The form that asks for the token, or what follows it; None for whoever has entered."""
        path = scope["path"]
        if not self._token or path == OPEN or self._has_token(scope):
            return None
        if scope["type"] == "websocket":
            return _refused("The access token is missing.", 401)
        request = Request(scope, receive)
        if path != ENTRY or request.method != "POST":
            page = f"{path}?{request.url.query}" if request.url.query else path
            return _form("This dashboard asks for its access token: the value of SOCRATES_TOKEN.", page)
        told = parse_qs((await _body(request)).decode("utf-8", "replace"))
        page = told.get("next", ["/"])[0]
        if not _same(told.get("token", [""])[0], self._token):
            return _form("That is not the access token. Try again.", page)
        entered = RedirectResponse(_own(page), 303)
        entered.set_cookie(self._cookie, self._mark(), httponly=True, samesite="strict", path="/")
        return entered

    def _has_token(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        kept = Request({**scope, "type": "http"}).cookies.get(self._cookie, "")
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        return _same(kept, self._mark()) or _same(bearer, self._token)

    def _mark(self) -> str:
        """What the browser keeps: proves the token without holding it."""
        return hmac.new(self._token.encode(), self._cookie.encode(), "sha256").hexdigest()


def names_of(host: str) -> frozenset[str]:
    """The names under which the server is asked where it listens on `host`, in small letters."""
    own: Iterable[str] = [socket.gethostname(), socket.getfqdn()] if _is_everywhere(host) else [host]
    return frozenset(name.lower().rstrip(".") for name in own if name)


def _is_everywhere(host: str) -> bool:
    return host in ("0.0.0.0", "::")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _own(page: str) -> str:
    """A path of this server, whatever a form says."""
    return page if page.startswith("/") and not page.startswith(("//", "/\\", ENTRY)) else "/"


def _same(told: str, right: str) -> bool:
    return hmac.compare_digest(told.encode("utf-8", "replace"), right.encode())


def _refused(sentence: str, status: int) -> Response:
    return PlainTextResponse(sentence, status)


def _form(told: str, page: str) -> Response:
    return HTMLResponse(_FORM.format(told=html.escape(told), page=html.escape(_own(page))), 401)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST:
            return b""
    return body


def _as_local(scope: Scope) -> Scope:
    """Streamlit asks a server elsewhere for this machine's address before it believes an origin; ours is proven."""
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
