"""The one error that is meant for the person in front of the screen."""

from collections.abc import Iterable


class UserError(Exception):
    """A sentence to show: what is wrong and what to do about it.

    Caught at the page frame and at the command line, nowhere else. Everything that is not a
    UserError is a bug and stays loud.
    """


def unknown(what: str, value: object, allowed: Iterable[object], hint: str = "") -> UserError:
    """Says that `value` is no known `what` and lists at most twenty of the values that are."""
    listed = [str(item) for item in allowed]
    shown = ", ".join(listed[:20]) + (f" and {len(listed) - 20} more" if len(listed) > 20 else "")
    known = f"Known: {shown}." if listed else "There are none yet."
    return UserError(f"There is no {what} {str(value)!r}. {known}{' ' + hint if hint else ''}")
