"""How long the server waits for a request and how many connections it holds, so that nobody can use them all up.

uvicorn waits forever for the rest of a request and accepts connections until no file can be opened any more. Here a
connection has ten seconds to send a request that the gate lets in. When too many connections are open, a waiting one
is closed: first those that never sent such a request, of these one of the peer that has the most, and the oldest.
"""

import asyncio
import errno
import resource
import socket
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

LET_IN = "socrates.let_in"  # the key that the gate adds to the scope of a request that passes
SECONDS = 10.0
MOST = 512
FEWEST = 32
SESSION_FILES = 4  # that a websocket keeps open: its own and three of Streamlit's session
OTHER_FILES = 512  # up to 128 sessions that Streamlit keeps for a while after their websocket, and all else
BACKLOG = 100  # connections that are accepted in one go, before the oldest of them is read
LOOPBACK = ("127.0.0.1", "::1")


class Connection(H11Protocol):
    """uvicorn's HTTP connection, with an end to waiting and a limit on how many there are."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.was_let_in = False
        self.waits_since = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self.was_let_in |= self.is_served()
        super().on_response_complete()
        self._wait()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._stop_waiting()  # the gate answers at once, and a websocket that it lets in stays open
        n_websockets = sum(not isinstance(each, Connection) for each in self.connections)
        if (
            n_websockets >= most_connections() * 3 // 4
        ):  # the rest is for requests, such as the one to sign out
            return self.transport.abort()
        super().handle_websocket_upgrade(event)

    def is_served(self) -> bool:
        """True while a request that the gate let in is answered."""
        return self.cycle is not None and LET_IN in self.cycle.scope

    def _wait(self) -> None:
        self._stop_waiting()
        self.waits_since = self.loop.time()
        self._timer = self.loop.call_later(SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.waits():
            self.transport.abort()

    def waits(self) -> bool:
        """True while no request that the gate let in is being answered."""
        return not self.is_served() or self.cycle.response_complete

    def _make_room(self) -> None:
        """Closes one waiting connection when there are too many; this one too may be it."""
        if len(self.connections) <= most_connections():
            return
        waiting = [each for each in self.connections if isinstance(each, Connection) and each.waits()]
        open_ones = [each for each in waiting if not each.transport.is_closing()]
        held = Counter(each.client[0] if each.client else "" for each in open_ones)

        def first_to_go(each: Connection) -> tuple[bool, int, float]:
            return each.was_let_in, -held[each.client[0] if each.client else ""], each.waits_since

        min(open_ones, key=first_to_go).transport.abort()


def most_connections() -> int:
    """The limit of connections: what the limit of open files allows if all were websockets, up to 512."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST
    return max(FEWEST, min(MOST, (files - OTHER_FILES) // SESSION_FILES))


def raise_file_limit() -> None:
    """Allows this process as many open files as the machine's owner allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS names no limit and accepts no such value
        return


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets on `host` and, whatever it is, on both addresses of loopback.

    A browser tries both of them for `localhost`, so another program on the one that is left free could pose as the
    dashboard. Raises OSError where an address is taken.
    """
    address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    covered = {"0.0.0.0": {"127.0.0.1"}, "::": set(LOOPBACK)}.get(address, {address})
    sockets: list[socket.socket] = []
    for each in (address, *(one for one in LOOPBACK if one not in covered)):
        try:
            sockets.append(_listening(each, port))
        except OSError as error:
            if each != "::1" or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise  # a machine without IPv6 goes without
    return sockets


def _listening(address: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:  # of these only "::" answers IPv4 as well
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "::")
        opened.bind((address, port))
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened
