"""Sessions of people who signed in, in the server's memory, each with a random secret, a host name and an end.

A browser sends a cookie to every port of the name that set it, so a cookie on `localhost` would reach the servers of
other people on the same machine. A session of a browser on this machine therefore gets a random host name,
`socrates-….localhost`, which browsers resolve to this machine and which only the person who signed in knows.
"""

import asyncio
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field

SECONDS = 12 * 3600.0
TICKET_SECONDS = 60.0
RANDOM_NAME = re.compile(r"socrates-[0-9a-f]{32}\.localhost")


@dataclass(eq=False)
class Session:
    """One sign-in: its `secret` is accepted under its `name` and from its `peer` until its end.

    `ends` is in seconds of the wall clock, which continues while the machine sleeps.
    """

    secret: str
    name: str
    peer: str
    ends: float
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def is_live(self) -> bool:
        return not self.ended.is_set() and time.time() < self.ends

    def seconds_left(self) -> int:
        return max(0, int(self.ends - time.time()))

    async def wait_for_end(self) -> None:
        while self.is_live():
            try:  # in steps of a minute, since a timer stops while the machine sleeps
                await asyncio.wait_for(self.ended.wait(), min(60.0, max(0.0, self.ends - time.time())))
            except TimeoutError:
                continue


class Sessions:
    """All sessions of one server, and the tickets with which browsers move to a session's name."""

    def __init__(self) -> None:
        self._sessions: list[Session] = []
        self._tickets: dict[str, tuple[Session, float]] = {}

    def start(self, peer: str, name: str | None = None) -> Session:
        """A new session under `name`, or under a random name by default."""
        name = name or f"socrates-{secrets.token_hex(16)}.localhost"
        session = Session(secrets.token_urlsafe(32), name, peer, time.time() + SECONDS)
        self._sessions = [live for live in self._sessions if live.is_live()] + [session]
        return session

    def find(self, secret: str, name: str, peer: str) -> Session | None:
        """The live session that has this secret, name and peer."""
        given = secret.encode("utf-8", "replace")
        for session in self._sessions:
            in_place = session.is_live() and (session.name, session.peer) == (name, peer)
            if in_place and hmac.compare_digest(session.secret.encode(), given):
                return session
        return None

    def has_random_name(self, name: str) -> bool:
        """True for the random name of a live session."""
        return bool(RANDOM_NAME.fullmatch(name)) and any(
            session.is_live() and hmac.compare_digest(session.name, name) for session in self._sessions
        )

    def ticket_for(self, session: Session) -> str:
        """A random text that opens the session once, within a minute."""
        now = time.monotonic()
        ticket = secrets.token_urlsafe(32)
        self._tickets = {key: value for key, value in self._tickets.items() if now < value[1]}
        self._tickets[ticket] = (session, now + TICKET_SECONDS)
        return ticket

    def redeem(self, ticket: str, name: str, peer: str) -> Session | None:
        """The session of a ticket, once; None for a ticket that is used, late or from another place."""
        session, until = self._tickets.pop(ticket, (None, 0.0))
        if session is None or time.monotonic() > until or not session.is_live():
            return None
        return session if (session.name, session.peer) == (name, peer) else None

    def end(self, session: Session) -> None:
        """Ends a session and closes its open websockets."""
        session.ended.set()
        self._sessions.remove(session)
