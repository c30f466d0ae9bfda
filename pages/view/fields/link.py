"""Fields whose value is in the page's link, so that Back, a reload, and a pasted link show the same choice.

Streamlit's own `bind="query-params"` is used wherever it works. It needs a key that is the name of the parameter,
writes the labels that people read into the link, and cannot keep one value for each study or run. The fields here can.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import streamlit as st

from pages.view import state

T = TypeVar("T")
Link = Callable[[T], Mapping[str, str | None]]
LARGEST = 1e9
KEEP: Any = object()  # in place of a value: the link says nothing, so the field stays as it is


def linked(draw: Callable[[str], T], key: str, value: T, link: Link[T], *, forget: Iterable[str] = ()) -> T:
    """Draws a field under its `key` and returns what is chosen in it.

    The field follows `value`, which is what the link says. `link` turns a choice into parameters; None removes one from
    the link. The parameters `forget` belong to the choice before, so they are removed when a person chooses another.
    """
    if value is not KEEP:
        state.follow_link(key, value)
    chosen = draw(key)
    state.note_link(key, chosen)
    state.set_parameters(**link(chosen))
    # A choice that differs from the link was made by hand in this run; Back and pasted links move both together.
    if value is not KEEP and chosen != value:
        state.set_parameters(**dict.fromkeys(forget))
    return chosen


def unless_usual(name: str, usual: object) -> Link[Any]:
    """Puts a choice into the link as the parameter `name`, and leaves the usual choice out."""
    return lambda chosen: {name: None if chosen == usual else str(chosen)}


def linked_select(
    label: str,
    options: Mapping[str, str],
    name: str,
    scope: str,
    *,
    forget: Iterable[str] = (),
    where: Any = st,
) -> str:
    """A box with `options` (the name in the link -> the label), held by the link's parameter `name`.

    The link leaves the first option out. `scope` is what the options belong to, such as a study.
    """
    first = next(iter(options))
    text = state.parameter(name)
    return linked(
        lambda key: _select(label, options, key, where),
        f"{name}:{scope}",
        text if text is not None and text in options else first,
        unless_usual(name, first),
        forget=forget,
    )


def linked_box(
    label: str, options: Mapping[str, str], value: str | None, link: Link[str], *, key: str
) -> str:
    """A box for what the whole page is about, such as a run: the link always names the choice.

    `value` is the option that the link names. If it names none of them, the box stays as it is.
    """
    return linked(
        lambda key: _select(label, options, key, st),
        key,
        KEEP if value is None or value not in options else value,
        link,
    )


def _select(label: str, options: Mapping[str, str], key: str, where: Any) -> str:
    return str(where.selectbox(label, list(options), format_func=distinct(options).__getitem__, key=key))


def distinct(options: Mapping[T, str]) -> dict[T, str]:
    """The labels of options, with the name where two are alike: Streamlit tells options apart by their labels."""
    times = Counter(options.values())
    return {name: label if times[label] == 1 else f"{label} ({name})" for name, label in options.items()}


def listed(name: str) -> list[str]:
    """The values of a parameter that lists several, separated by commas."""
    return [value for value in (state.parameter(name) or "").split(",") if value]


def linked_multiselect(
    label: str,
    options: Mapping[str, str],
    name: str,
    *,
    key: str,
    usual: Sequence[str] = (),
    most: int | None = None,
    placeholder: str | None = None,
) -> list[str]:
    """A box with several of `options` (the name in the link -> the label), at most `most` of them.

    `usual` is chosen if the link names none.
    """
    value = [option for option in listed(name) if option in options][:most]
    labels = distinct(options)
    return linked(
        lambda key: st.multiselect(
            label,
            list(options),
            format_func=lambda option: labels.get(option, option),
            key=key,
            max_selections=most,
            placeholder=placeholder,
        ),
        key,
        value or list(usual),
        lambda chosen: {name: ",".join(chosen) or None},
    )


def linked_number(
    label: str,
    name: str,
    scope: str,
    usual: float,
    *,
    low: float = -LARGEST,
    high: float = LARGEST,
    help: str | None = None,
    where: Any = st,
) -> float:
    """A number held by the link's parameter `name`, whole if `usual` is; the link leaves the usual number out."""
    whole = isinstance(usual, int)
    kind = int if whole else float
    value = kind(min(max(number(state.parameter(name), usual), low), high))
    chosen = linked(
        lambda key: where.number_input(
            label,
            kind(low),
            kind(high),
            step=None if whole else 0.01,
            format="%d" if whole else "%.4g",
            key=key,
            help=help,
        ),
        f"{name}:{scope}",
        value,
        lambda chosen: {name: None if chosen == usual else f"{chosen:.10g}"},
    )
    return float(chosen)


def number(text: str | None, usual: float) -> float:
    """The number that a link holds, or `usual` if it holds none."""
    try:
        value = float(text or "")
    except ValueError:
        return usual
    return value if math.isfinite(value) else usual
