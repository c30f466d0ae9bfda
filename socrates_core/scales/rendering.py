"""Writes a scale as the instruction that ends a question."""

from collections.abc import Iterator

from socrates_core.records import Number, Scale
from socrates_core.scales.instructions import parse_scale

_QUOTES = ("''", '""', "“”", "«»")


def render_instruction(scale: Scale) -> str:
    """The instruction for `scale`, in the first style of quotes that reads back as the scale.

    `parse_scale(render_instruction(scale)) == scale` holds for every scale that `check_scale` accepts.
    """
    styles = list(_styles(scale))
    return next((text for text in styles if parse_scale(text) == scale), styles[-1])


def number_text(value: Number) -> str:
    """A number without exponent: "5", "-3", "0.25"."""
    return str(value) if isinstance(value, int) else f"{value:.9f}".rstrip("0").rstrip(".")


def _styles(scale: Scale) -> Iterator[str]:
    if scale.kind != "enum_labels" and len(scale.labels) <= 2:
        yield f"Only return {_render(scale, '')}, nothing else."
    for quotes in _QUOTES:
        yield f"Only return {_render(scale, quotes)}, nothing else."


def _render(scale: Scale, quotes: str) -> str:
    if scale.kind == "enum_labels":
        return _series(_labelled(scale, "for", quotes), "or")
    if scale.kind == "if_upto":
        return ", ".join(
            _labelled(scale, "if", quotes)[:-1]
            + [f"up to {item}" for item in _labelled(scale, "if", quotes)[-1:]]
        )
    labels = f", where {_series(_labelled(scale, 'means', quotes), 'and')}" if scale.labels else ""
    return _values(scale) + labels


def _values(scale: Scale) -> str:
    whole = all(float(value or 0).is_integer() for value in (scale.low, scale.step))
    noun = "an integer" if whole else "a number"
    multiple = f"a multiple of {number_text(scale.step)}"
    if scale.low is None or scale.high is None:
        return noun if scale.step == 1 else multiple
    low, high = number_text(scale.low), number_text(scale.high)
    if scale.kind == "multiple":
        return f"{multiple} between {low} and {high}"
    return f"{noun} from {low} to {high}" + (
        f" in steps of {number_text(scale.step)}" if scale.step != 1 else ""
    )


def _labelled(scale: Scale, verb: str, quotes: str) -> list[str]:
    return [f"{number_text(value)} {verb} {quotes[:1]}{label}{quotes[1:]}" for value, label in scale.labels]


def _series(items: list[str], joint: str) -> str:
    if len(items) <= 2:
        return f" {joint} ".join(items)
    return f"{', '.join(items[:-1])}, {joint} {items[-1]}"
