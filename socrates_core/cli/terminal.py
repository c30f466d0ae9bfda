"""Standard output and error as a terminal should get them: text that is shown and never obeyed, in any encoding."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from socrates_core.errors import UserError, disk_sentence

# Control characters but tab and line feed, and what is not seen or turns the direction of a text; joiners, which some
# scripts and emoji need, stay.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000110bd\U000e0001-\U000e007f]"
)
LEAST_MEMORY = 1_000_000_000  # bytes of address space; at 600 MB pyarrow and DuckDB crash
_NO_MEMORY = re.compile(
    "out of memory|cannot allocate memory|can't allocate memory|failed to map segment|can't start new thread",
    re.I,
)


def shown(text: str) -> str:
    r"""The text with every character that a terminal would obey or hide spelled as \uXXXX, as JSON spells it too."""
    return _OBEYED.sub(lambda found: _spelled(found[0]), text)


def _spelled(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


class ShownStream:
    """A text stream on which every character is shown; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(shown(text))
        except BrokenPipeError:  # a reader that has seen enough, as `head` does
            _drop_output()
            return len(text)

    def writelines(self, lines: list[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def plain_output() -> Iterator[None]:
    """Standard output and error as shown text. Raises UserError where output cannot be written or memory ran out."""
    _check_memory()
    before = sys.stdout, sys.stderr
    for stream in before:
        with suppress(AttributeError, ValueError):  # a stream of a test has no encoding, a closed one is None
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    sys.stdout, sys.stderr = (stream and ShownStream(stream) for stream in before)
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
        if error.filename is None:  # no file of ours: the stream itself
            _drop_output()
            sentence = f"The output could not be written ({error.strerror}). Free some space."
        raise UserError(sentence) from error
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise UserError(
            "There is not enough memory for this. Close other programs, or raise the limit that this shell has "
            f"(ulimit -v). The cause: {' '.join(str(error).split())[:200] or type(error).__name__}"
        ) from error
    finally:
        sys.stdout, sys.stderr = before


def _check_memory() -> None:
    """Raises UserError where the shell allows less memory than the libraries need: some of them crash then."""
    with suppress(ModuleNotFoundError):  # not on Windows
        import resource

        allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
        if allowed != resource.RLIM_INFINITY and allowed < LEAST_MEMORY:
            raise UserError(
                f"This shell allows a program {allowed / 1e6:,.0f} MB of memory, which is not enough memory for this: "
                f"at least {LEAST_MEMORY / 1e6:,.0f} MB are needed. Raise the limit: ulimit -v unlimited"
            )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, as Python or one of the libraries says it."""
    named = isinstance(error, MemoryError) or type(error).__name__ in (
        "OutOfMemoryException",
        "OutOfMemoryError",
    )
    return named or bool(_NO_MEMORY.search(str(error)))


def _drop_output() -> None:
    """What is still held for standard output goes nowhere, so that Python does not complain of it at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
