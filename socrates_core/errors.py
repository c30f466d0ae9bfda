"""The one error that is meant for the person in front of the screen, and what keeps it a sentence."""

import errno
import reprlib
from collections.abc import Iterable

EDITED = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What comes out of code that trusts a file whose content somebody changed."""

_LONGEST = 120  # characters of a value in a sentence
_LISTED = 300  # characters of what is allowed
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _short.maxlong = _LONGEST


class UserError(Exception):
    """A sentence to show: what is wrong and what to do about it.

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
    """What to say where a disk, a right or a limit is at fault and not this program; "" for any other error."""
    advice = _OF_THE_DISK.get(error.errno or 0)
    if not advice:
        return ""
    return f"{str(error.filename or 'A file')!r} cannot be used ({error.strerror}). {advice}"


def quoted(value: object) -> str:
    """A value as code writes it; the middle of a long one, and all but the first few of many, left out."""
    try:
        return clipped(_short.repr(value), 2 * _LONGEST)
    except ValueError:  # a whole number with more digits than Python writes
        return "a number without end"


def clipped(text: str, longest: int = _LONGEST) -> str:
    """The text on one line, its end left out where it has more than `longest` characters."""
    line = " ".join(text[: 10 * longest].split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def unknown(what: str, value: object, allowed: Iterable[object], hint: str = "") -> UserError:
    """Says that `value` is no known `what` and lists at most twenty of the values that are."""
    listed = [str(item) for item in allowed]
    shown = list[str]()
    for item in listed[:20]:
        if shown and sum(map(len, shown)) + len(item) > _LISTED:
            break
        shown.append(clipped(item))
    more = f" and {len(listed) - len(shown)} more" if len(listed) > len(shown) else ""
    known = f"Known: {', '.join(shown)}{more}." if listed else "There are none yet."
    return UserError(f"There is no {what} {quoted(str(value))}. {known}{' ' + hint if hint else ''}")
