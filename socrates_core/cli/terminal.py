"""Safe standard output and error: a terminal shows every character and obeys none, in any encoding."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from socrates_core.errors import UserError, disk_sentence

# Control characters except tab and line feed, invisible characters, and those that change the direction of text.
# Joiners stay: some scripts and emoji need them.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000110bd\U000e0001-\U000e007f]"
)
LEAST_MEMORY = 1_000_000_000  # bytes of address space; at 600 MB pyarrow and DuckDB crash
_NO_MEMORY = re.compile(
    "out of memory|cannot allocate memory|can't allocate memory|failed to map segment|can't start new thread",
    re.I,
)


def escape_controls(text: str) -> str:
    r"""The text with every character that a terminal would obey or hide written as \uXXXX, as in JSON."""
    return _CONTROLS.sub(lambda match: _escaped(match[0]), text)


def _escaped(character: str) -> str:
    # JSON spells a character beyond U+FFFF as two halves.
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


class SafeStream:
    """A text stream that writes control characters escaped. Everything else is passed on to the stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(escape_controls(text))
        except BrokenPipeError:  # the reader has ended, as `head` does
            _drop_output()
            return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain_output() -> Iterator[None]:
    """Makes standard output and error safe. Raises UserError if output cannot be written or memory runs out."""
    _check_memory()
    before = sys.stdout, sys.stderr
    # What the encoding of the terminal lacks is spelled out, where Python would raise an error.
    for stream in before:
        with suppress(
            AttributeError, ValueError
        ):  # a test's stream has no encoding, and a closed one is None
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout, sys.stderr = (stream and SafeStream(stream) for stream in before)
    try:
        yield
        if before[0]:
            before[0].flush()
    except BrokenPipeError:
        _drop_output()
    except OSError as error:
        sentence = disk_sentence(error)
        if not sentence:
            raise
        if error.filename is None:  # not one of our files but the stream itself
            _drop_output()
            sentence = f"The output could not be written ({error.strerror}). Free some space."
        raise UserError(sentence) from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            "There is not enough memory for this. Close other programs, or raise the memory limit of this shell "
            f"(ulimit -v). The cause: {' '.join(str(error).split())[:200] or type(error).__name__}"
        ) from error
    finally:
        sys.stdout, sys.stderr = before


def _check_memory() -> None:
    """Raises UserError if the shell allows less memory than the libraries need; some of them would crash."""
    with suppress(ModuleNotFoundError):  # not on Windows
        import resource

        allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
        if allowed != resource.RLIM_INFINITY and allowed < LEAST_MEMORY:
            raise UserError(
                f"This shell allows a program {allowed / 1e6:,.0f} MB of memory, which is not enough memory for this. "
                f"At least {LEAST_MEMORY / 1e6:,.0f} MB are needed. Raise the limit: ulimit -v unlimited"
            )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python or of a library means that memory ran out."""
    named = isinstance(error, MemoryError) or type(error).__name__ in (
        "OutOfMemoryException",
        "OutOfMemoryError",
    )
    return named or bool(_NO_MEMORY.search(str(error)))


def _drop_output() -> None:
    """Discards what is still buffered for standard output, so that Python does not raise an error when it exits."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
