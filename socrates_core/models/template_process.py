"""Renders chat templates in a process of its own, under limits. `rendering.py` starts this file.

A request is a line of JSON on standard input, and its answer is a line on standard output; the process ends when its
input closes. It imports only jinja2 and the standard library, so that it starts in about a tenth of a second.
"""

import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 5  # of processor time per request; 256 long prompts take a fiftieth of a second
MEMORY = 1 << 30  # bytes of address space
ROOM, GROWTH = 1 << 20, 64  # a text has at most ROOM + GROWTH characters for each character of its messages
TODAY = datetime(2024, 7, 26)  # for templates that print a date, so that answers do not change daily
LONGEST_MESSAGE = 1000


class TooLong(Exception):
    """The text of a template grew past its limit."""


class Generation(Extension):
    """The tag with which some templates mark what a model says, for training; it prints nothing itself."""

    tags = {"generation"}  # noqa: RUF012  # as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_as_it_is"), [], [], body).set_lineno(line)

    def _as_it_is(self, caller: Callable[[], str]) -> str:
        return caller()


@lru_cache(maxsize=16)
def compiled(source: str) -> Template:
    """The template in a sandbox, with the settings that transformers compiles chat templates with."""
    extensions = [loopcontrols, Generation]
    sandbox = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=extensions)
    sandbox.globals |= {"raise_exception": refuse, "strftime_now": TODAY.strftime}
    sandbox.filters["tojson"] = tojson
    return sandbox.from_string(source)


def tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: Any = None,
    sort_keys: bool = False,
) -> str:
    """JSON as transformers writes it in templates: jinja2's own filter would escape it for a web page."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def refuse(message: str) -> None:
    raise TemplateError(message)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The texts of a request's conversations, or what went wrong with the first that failed."""
    try:
        template = compiled(request["source"])
    except Exception as error:  # noqa: BLE001  # whatever jinja2 raises over a stranger's text
        return {"problem": "source", "message": describe(error)}
    texts = []
    try:
        for messages in request["conversations"]:
            limit = ROOM + GROWTH * sum(len(message["content"]) for message in messages)
            given = [in_parts(message) for message in messages] if request["in_parts"] else messages
            # Templates ask whether tools and documents are none; a name that is not given would be undefined instead.
            values = {"tools": None, "documents": None, **request["values"], "messages": given}
            texts.append(render(template, values, limit))
    except TooLong:
        return {"problem": "length", "message": f"its text has more than {limit:,} characters"}
    except Exception as error:  # noqa: BLE001  # a template can compute anything: 1 // 0, 'a' * 10 ** 10, None.x
        return {"problem": "error", "message": describe(error)}
    return {"texts": texts}


def in_parts(message: dict[str, str]) -> dict[str, Any]:
    return {**message, "content": [{"type": "text", "text": message["content"]}]}


def render(template: Template, values: dict[str, Any], limit: int) -> str:
    """The template's text. Raises TooLong past `limit` characters, before they are joined."""
    pieces, length = [], 0
    for piece in template.generate(values):
        pieces.append(piece)
        length += len(piece)
        if length > limit:
            raise TooLong
    return "".join(pieces)


def describe(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"it needs more than {MEMORY >> 20:,} MB of memory"
    with suppress(Exception):  # the message may be any object of the template's
        if message := str(error)[:LONGEST_MESSAGE]:
            return message
    return type(error).__name__


def limits() -> Callable[[], None]:
    """Limits this process's memory; returns a function that allows SECONDS more of processor time."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows; the program that started this one watches the clock
        return lambda: None

    def allow(kind: int, value: int) -> None:
        most = resource.getrlimit(kind)[1]
        with suppress(ValueError, OSError):  # macOS cannot limit address space
            # Only the soft limit: a lowered hard limit could not be raised again for the next request.
            resource.setrlimit(kind, (value if most == resource.RLIM_INFINITY else min(value, most), most))

    def more_time() -> None:
        # The limit counts from the start of the process, in whole seconds; int() drops a fraction, so 1 is added.
        used = resource.getrusage(resource.RUSAGE_SELF)
        allow(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + SECONDS)

    allow(resource.RLIMIT_AS, MEMORY)
    allow(resource.RLIMIT_CORE, 0)  # going over the CPU limit would otherwise write a core file
    return more_time


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that started this one
    more_time = limits()
    # With surrogatepass half a surrogate stays as it is, so the texts are exactly those of the template.
    for line in sys.stdin.buffer:
        more_time()
        result = answer(json.loads(line.decode("utf-8", "surrogatepass")))
        reply = json.dumps(result, ensure_ascii=False).encode("utf-8", "surrogatepass")
        sys.stdout.buffer.write(reply + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
