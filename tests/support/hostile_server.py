"""A server on loopback that behaves badly on purpose, byte by byte, for tests of what asks it.

python -m tests.support.hostile_server TROUBLE serves that trouble as a process of its own and prints its address;
"deaf" is a process that serves nothing and does not end when it is asked to.
"""

import functools
import json
import signal
import socket
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ZEROS = bytes(64 * 1024)
Behave = Callable[["Caller"], None]


def body(text: str = "5", **more: object) -> bytes:
    """A sound reply that says `text`, surely."""
    entry = {"token": text, "logprob": 0.0}
    choice = {
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": [{**entry, "top_logprobs": [entry]}]},
    }
    usage = {"prompt_tokens": 60, "completion_tokens": 1}
    return json.dumps({"model": "fixed-2026", "choices": [choice], "usage": usage, **more}).encode()


def reply(content: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """The bytes of a whole reply."""
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + content


class Caller:
    """One connection to the server: what was asked on it, and ways to answer."""

    def __init__(self, server: "HostileServer", connection: socket.socket) -> None:
        self.server, self.connection = server, connection

    def read_request(self) -> bytes:
        """The next request with its body. Raises OSError once the caller is gone."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._some()
        head, _, content = received.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        n_bytes = int(lengths[0].split(b":")[1])
        while len(content) < n_bytes:
            content += self._some()
        self.server.requests.append(head + b"\r\n\r\n" + content)
        return content

    def _some(self) -> bytes:
        received = self.connection.recv(65536)
        if not received:
            raise OSError("the caller is gone")
        return received

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)
        self.server.n_sent += len(content)

    def wait_until_gone(self) -> None:
        while self.connection.recv(65536):
            pass

    def drip(self, contents: Iterator[bytes], seconds: float = 0.0) -> None:
        """Sends one piece after the other until the caller or the server is gone."""
        for content in contents:
            self.send(content)
            if self.server.closing.wait(seconds) if seconds else self.server.closing.is_set():
                return


class HostileServer:
    """What a test can see: the address, the requests, how much was sent and how many connections are open."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.requests: list[bytes] = []
        self.n_sent = self.n_open = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}/v1"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with self._lock:
            self.n_open += 1
        with connection, suppress(OSError):
            self.behave(Caller(self, connection))
        with self._lock:
            self.n_open -= 1

    def close(self) -> None:
        self.closing.set()
        self._listening.close()


@contextmanager
def hostile(behave: Behave) -> Iterator[HostileServer]:
    """A server that treats every connection as `behave` says; it ends with the block."""
    server = HostileServer(behave)
    try:
        yield server
    finally:
        server.close()


def endlessly(content: bytes) -> Iterator[bytes]:
    while True:
        yield content


def always(content: bytes) -> Behave:
    """Answers every request on a connection with the same bytes."""

    def behave(caller: Caller) -> None:
        while True:
            caller.read_request()
            caller.send(content)

    return behave


def once(content: bytes) -> Behave:
    """Answers one request with these bytes and closes the connection."""

    def behave(caller: Caller) -> None:
        caller.read_request()
        caller.send(content)

    return behave


def one_byte_a_second(caller: Caller) -> None:
    caller.read_request()
    caller.send(HEAD + b"Content-Length: 1000000\r\n\r\n")
    caller.drip(endlessly(b" "), seconds=1.0)


def headers_byte_by_byte(caller: Caller) -> None:
    caller.read_request()
    caller.drip(endlessly(b"H"), seconds=1.0)


def says_nothing(caller: Caller) -> None:
    caller.read_request()
    caller.wait_until_gone()


def takes_no_request(caller: Caller) -> None:
    caller.server.closing.wait(0.2)
    caller.wait_until_gone()


def endless_body(caller: Caller) -> None:
    caller.read_request()
    caller.send(CHUNKED)
    caller.drip(endlessly(b"10000\r\n" + ZEROS + b"\r\n"))


def endless_error(caller: Caller) -> None:
    caller.read_request()
    caller.send(CHUNKED.replace(b"200 OK", b"500 Internal Server Error"))
    caller.drip(endlessly(b"10000\r\n" + ZEROS + b"\r\n"))


def tiny_chunks(caller: Caller) -> None:
    caller.read_request()
    caller.send(CHUNKED)
    caller.drip(endlessly(b"2\r\nab\r\n" * 8192))


def endless_headers(caller: Caller) -> None:
    caller.read_request()
    caller.send(HEAD)
    caller.drip(endlessly(b"X-Header: " + b"x" * 8192 + b"\r\n"))


def endless_interim(caller: Caller) -> None:
    caller.read_request()
    caller.drip(endlessly(b"HTTP/1.1 100 Continue\r\n\r\n" * 256))


def huge_length(caller: Caller) -> None:
    caller.read_request()
    caller.send(HEAD + b"Content-Length: 1000000000000000\r\n\r\n")
    caller.drip(endlessly(ZEROS))


@functools.cache
def packed(n_megabytes: int) -> bytes:
    """So many MB of spaces as gzip: about a thousandth of it. One packed block is repeated; packing 2 GB takes 10 s."""
    block = b" " * 1_000_000
    packing, checksum = zlib.compressobj(9, zlib.DEFLATED, 31), 0
    first = packing.compress(block) + packing.flush(zlib.Z_FULL_FLUSH)
    another = packing.compress(block) + packing.flush(zlib.Z_FULL_FLUSH)
    for _ in range(n_megabytes):
        checksum = zlib.crc32(block, checksum)
    ending = b"\x03\x00" + struct.pack("<II", checksum, n_megabytes * len(block) % 2**32)
    return first + another * (n_megabytes - 1) + ending


def compressed(n_megabytes: int = 2000, *, status: str = "200 OK") -> Behave:
    """A small reply that unpacks to very much."""

    def behave(caller: Caller) -> None:  # packed when it is served, not when tests are collected
        always(reply(packed(n_megabytes), "Content-Encoding: gzip", status=status))(caller)

    return behave


TROUBLES: dict[str, Behave] = {
    each.__name__: each
    for each in (
        one_byte_a_second,
        headers_byte_by_byte,
        says_nothing,
        endless_body,
        endless_error,
        tiny_chunks,
        endless_headers,
        endless_interim,
        huge_length,
    )
}

if __name__ == "__main__":
    name = sys.argv[1]
    if name == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(3600)
    print(HostileServer(compressed() if name == "compressed" else TROUBLES[name]).url, flush=True)
    time.sleep(3600)
