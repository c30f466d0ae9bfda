"""Chat templates come with a model, and so from a stranger: another process renders them, under limits.

The limits are those of `template_process.py`. One such process serves all models of this program. It starts with the
first text and starts again after a template has ended it; it ends with this program.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError, clipped
from socrates_core.models.template_process import SECONDS

PROGRAM = Path(__file__).with_name("template_process.py")
PATIENCE = 120.0  # seconds by the clock, for a busy machine or a system without limits of processor time
AT_ONCE = 256
CHARACTERS_AT_ONCE = 4_000_000  # a request, its texts and their JSON fit in the process's memory many times
LONGEST_SOURCE = 1 << 20  # the longest published template that we know has 20 kB

Message = dict[str, str]
Conversation = list[Message]


class PromptRefused(UserError):
    """The template fails on these messages, as some do on purpose for a system text; it may accept others."""


class ChatTemplate:
    """A chat template; `where` names it in error sentences, and `values` are its variables.

    With `in_parts` it is given each message's content as a list of parts, of which one is a text.
    """

    def __init__(self, source: str, where: str, values: dict[str, Any]) -> None:
        """Raises UserError if the template is too long or cannot be compiled."""
        self._source, self.where, self._values = source, where, values
        self.in_parts = False
        if len(source) > LONGEST_SOURCE:
            raise UserError(
                f"The chat template in {where} cannot be read (it has {len(source):,} characters). Copy it there again."
            )
        self._request([], {})

    @property
    def source(self) -> str:
        """The template's own text."""
        return self._source

    def render(self, conversations: Sequence[Conversation], **flags: bool) -> list[str]:
        """The text of each conversation.

        Raises PromptRefused if the template raises an error, and UserError if it takes too long, needs too much memory
        or writes too much.
        """
        texts: list[str] = []
        waiting: list[Conversation] = []
        n_waiting = 0
        for conversation in conversations:
            waiting.append(conversation)
            n_waiting += sum(len(message["content"]) for message in conversation)
            if len(waiting) == AT_ONCE or n_waiting > CHARACTERS_AT_ONCE:
                texts += self._request(waiting, flags)
                waiting, n_waiting = [], 0
        return texts + (self._request(waiting, flags) if waiting else [])

    def _request(self, conversations: list[Conversation], flags: dict[str, bool]) -> list[str]:
        values = {**self._values, **flags}
        request = {
            "source": self._source,
            "conversations": conversations,
            "values": values,
            "in_parts": self.in_parts,
        }
        try:
            reply = _renderer.ask(request)
        except (RecursionError, ValueError) as error:  # special tokens may be lists of lists of lists
            raise UserError(
                f"The special tokens for {self.where} cannot be used ({clipped(str(error))})."
            ) from error
        except _Ended as error:
            raise UserError(
                f"The chat template in {self.where} was stopped: {error}. Use the template that the model was "
                "published with."
            ) from error
        problem, message = reply.get("problem"), clipped(str(reply.get("message")), 300)
        if problem == "source":
            raise UserError(f"The chat template in {self.where} cannot be read ({message}).")
        if problem:
            raised = UserError if problem == "length" else PromptRefused
            raise raised(f"The chat template in {self.where} cannot be used ({message}).")
        return list(reply["texts"])


class _Ended(Exception):
    """The process ended before it answered; the message is a clause that says why."""


class _Renderer:
    """The process that renders, one request at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()
        self._close: Callable[[], object] = lambda: None

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The process's reply. Raises _Ended if there is none."""
        line = json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
        with self._lock:
            process = self._running()
            # `readline` below has no timeout. Killing the process closes its pipe, which ends the wait.
            overdue = threading.Timer(PATIENCE, process.kill)
            overdue.daemon = True
            overdue.start()
            try:
                reply = self._exchange(process, line)
            except BaseException:  # Ctrl-C too: the reply to this request must not answer the next one
                self._process = None
                self._close()
                raise
            finally:
                overdue.cancel()
        return reply

    def _running(self) -> subprocess.Popen[bytes]:
        """The process; starts one if there is none, if it has ended, or in a fork of the program."""
        process = self._process
        if process is None or process.poll() is not None or self._owner != os.getpid():
            # Started by its path and isolated, so that it imports neither this package nor the user's settings.
            process = subprocess.Popen(
                [sys.executable, "-I", str(PROGRAM)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self._process, self._owner = process, os.getpid()
            self._close = weakref.finalize(self, _close, process)  # also runs when the program ends
        return process

    def _exchange(self, process: subprocess.Popen[bytes], line: bytes) -> dict[str, Any]:
        assert process.stdin and process.stdout
        try:
            process.stdin.write(line)
            process.stdin.flush()
            reply = process.stdout.readline()
        except OSError:
            reply = b""
        if not reply.endswith(b"\n"):
            raise _Ended(_cause(process))
        parsed: dict[str, Any] = json.loads(reply.decode("utf-8", "surrogatepass"))
        return parsed


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin and process.stdout
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):  # what was not sent yet
            pipe.close()


def _cause(process: subprocess.Popen[bytes]) -> str:
    """Why the process ended, as a clause."""
    code = process.wait()
    if code == -getattr(signal, "SIGXCPU", 0):
        return f"it took more than {SECONDS} seconds of processor time"
    if code == -9:
        return f"it took more than {PATIENCE:.0f} seconds, or the machine ran out of memory"
    return f"the process that renders it ended with code {code}"


_renderer = _Renderer()
