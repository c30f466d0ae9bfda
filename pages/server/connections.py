"""Limits how long the server waits for a request and how many connections it holds, so that nobody can use them up.

uvicorn waits forever for the rest of a request and accepts connections until no file can be opened any more. Here a
connection has ten seconds to send a request that the gate lets in. When too many connections are open, a waiting one
is closed: first one that never sent such a request, of these one of the peer with the most, of these the oldest.
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
SESSION_FILES = 4  # files that a websocket keeps open: its own and three of Streamlit's session
OTHER_FILES = 512  # for up to 128 sessions that Streamlit keeps after their websocket, and everything else
BACKLOG = 100  # connections that are accepted at once, before the oldest of them is read
LOOPBACK = ("127.0.0.1", "::1")


class Connection(H11Protocol):
    """uvicorn's HTTP connection with a limit on waiting time and on the number of connections."""

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
        # In this set uvicorn replaces the connection of a websocket with an object of another class.
        n_websockets = sum(not isinstance(connection, Connection) for connection in self.connections)
        # A quarter stays free for other requests, such as the one to sign out.
        if n_websockets >= most_connections() * 3 // 4:
            return self.transport.abort()
        super().handle_websocket_upgrade(event)

    def is_served(self) -> bool:
        """True while the server answers a request that the gate let in."""
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
        """True unless the server is answering a request that the gate let in."""
        return not self.is_served() or self.cycle.response_complete

    def _make_room(self) -> None:
        """Closes one waiting connection if there are too many. It may be this one."""
        if len(self.connections) <= most_connections():
            return
        waiting = [
            connection
            for connection in self.connections
            if isinstance(connection, Connection)
            and connection.waits()
            and not connection.transport.is_closing()
        ]
        n_of_peer = Counter(connection.peer() for connection in waiting)

        def closed_first(connection: Connection) -> tuple[bool, int, float]:
            return connection.was_let_in, -n_of_peer[connection.peer()], connection.waits_since

        min(waiting, key=closed_first).transport.abort()

    def peer(self) -> str:
        """The address of the other side, empty if it is not known."""
        return self.client[0] if self.client else ""


def most_connections() -> int:
    """The limit of connections: as many websockets as the limit of open files allows, at most 512."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST
    return max(FEWEST, min(MOST, (files - OTHER_FILES) // SESSION_FILES))


def raise_file_limit() -> None:
    """Raises this process's limit of open files to the hard limit of the machine."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS reports no limit, and does not accept that value
        return


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets on `host` and always on both loopback addresses.

    A browser tries both of them for `localhost`. Another program on an address that is left free could pretend to be
    the dashboard. Raises OSError if an address is taken.
    """
    address = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    covered = {"0.0.0.0": {"127.0.0.1"}, "::": set(LOOPBACK)}.get(address, {address})
    sockets: list[socket.socket] = []
    for name in (address, *(loopback for loopback in LOOPBACK if loopback not in covered)):
        try:
            sockets.append(_listening(name, port))
        except OSError as error:
            # A machine without IPv6 has no ::1 that another program could take.
            if name != "::1" or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return sockets


def _listening(address: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Without it, the port stays taken for a while after a server has ended.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ":" in address:  # only "::" should also answer IPv4
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address != "::")
        opened.bind((address, port))
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened
