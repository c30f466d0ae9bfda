"""The one error that is shown to the person at the screen, and functions that keep it one readable sentence."""

import errno
import reprlib
from collections.abc import Iterable

EDITED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What code raises when it reads a file whose content somebody changed."""

_LONGEST = 120  # characters of a value in a sentence
_LISTED = 300  # characters of the list of allowed values
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = _LONGEST


class UserError(Exception):
    """A sentence to show to a person: what is wrong and what to do about it.

    Caught at the page frame and at the command line, nowhere else. Everything that is not a
    UserError is a bug and stays loud.
    """


_OF_THE_DISK = {
    errno.EACCES: "Check that the file and its folder are yours.",
    errno.EPERM: "Check that the file and its folder are yours.",
    errno.EROFS: "Set SOCRATES_HOME to a folder that you can write to.",
    errno.ENOSPC: "Free some space.",
    errno.EDQUOT: "Free some space.",
    errno.EIO: "Check the disk.",
    errno.EMFILE: "Close other programs, or raise the limit of open files (ulimit -n).",
    errno.ENFILE: "Close other programs, or raise the limit of open files (ulimit -n).",
}


def disk_sentence(error: OSError) -> str:
    """A sentence for an error that the disk, a permission or a system limit caused; "" for any other error."""
    advice = _OF_THE_DISK.get(error.errno or 0)
    if not advice:
        return ""
    return f"{str(error.filename or 'A file')!r} cannot be used ({error.strerror}). {advice}"


def quoted(value: object) -> str:
    """A value as Python code. Long values lose their middle, and long lists all but their first items."""
    try:
        return clipped(_short.repr(value), 2 * _LONGEST)
    except ValueError:  # an integer with more digits than Python agrees to print
        return "a very long number"


def clipped(text: str, longest: int = _LONGEST) -> str:
    """The text on one line, cut at `longest` characters."""
    line = " ".join(text[: 10 * longest].split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def unknown(what: str, value: object, allowed: Iterable[object], hint: str = "") -> UserError:
    """The error for a `value` that is not a known `what`. Lists at most twenty of the `allowed` values."""
    names = [str(item) for item in allowed]
    listed = list[str]()
    for name in names[:20]:
        if listed and sum(map(len, listed)) + len(name) > _LISTED:
            break
        listed.append(clipped(name))
    more = f" and {len(names) - len(listed)} more" if len(names) > len(listed) else ""
    known = f"Known: {', '.join(listed)}{more}." if names else "There are none yet."
    return UserError(" ".join(filter(None, [f"There is no {what} {quoted(str(value))}.", known, hint])))
