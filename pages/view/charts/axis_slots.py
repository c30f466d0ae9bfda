"""The places of answers on a chart's axis: a slot for each value, or bins on long scales."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pages.view.charts.plotly_text import wrapped
from socrates_core.records import Floats, Number, Scale

MOST_BARS = 21
ROOM = 42  # characters across a panel on a narrow screen


@dataclass(frozen=True)
class Slots:
    """The places of answers on the x axis: the place [b] and hover name [b] of each bar, one `width` apart.

    `of_value` is the slot of each value; `ticks` are the places and texts under the lowest panel.
    """

    places: Floats
    names: tuple[str, ...]
    of_value: dict[Number, int]
    ticks: tuple[Sequence[float], Sequence[str]]
    width: float
    axis: str

    @property
    def binned(self) -> bool:
        return len(self.of_value) > len(self.names)


def find_slots(scale: Scale, given: list[Number]) -> Slots:
    """A slot for each value of `scale`, or for the `given` values of an open scale; bins for more than 21."""
    values: list[Number] = list(scale.values) or given
    if len(values) > MOST_BARS:
        return _bins(values, scale)
    ends = (values[0], values[-1]) if values else ()
    labelled = values if len(scale.labels) <= 2 or len(values) <= 7 else ends
    slot = ROOM / max(len(values), 1)
    room = int(slot if len(scale.labels) > 2 and labelled is values else min(slot + 4, 14))
    names = [f"{value:g}" + (f" = {scale.label(value)}" if scale.label(value) else "") for value in values]
    ticks = [_tick(value, scale.label(value) if value in labelled else "", max(room, 6)) for value in values]
    places = np.arange(len(values), dtype=np.float64)
    of_value = {value: at for at, value in enumerate(values)}
    return Slots(places, tuple(names), of_value, (list(places), ticks), 1, "Answer")


def _bins(values: list[Number], scale: Scale) -> Slots:
    """At most 20 bins of a round width. The highest value goes into the last one."""
    low, high = float(values[0]), float(values[-1])
    widths = (lead * 10.0**power for power in range(-3, 10) for lead in (1, 2, 2.5, 5))
    width = next(width for width in widths if (high - low) / width <= 20 and width >= scale.step)
    # 1e-9: rounding must not move a value that lies on an edge into the bin below.
    n_bins = math.ceil((high - low) / width - 1e-9)
    of_value = {value: min(int((value - low) / width + 1e-9), n_bins - 1) for value in values}
    members = [[value for value in values if of_value[value] == slot] for slot in range(n_bins)]
    names = [f"{inside[0]:g} to {inside[-1]:g}" if inside else "none" for inside in members]
    at = [low + (high - low) * part / 4 for part in (range(5) if (high - low) % 4 == 0 else (0, 2, 4))]
    ticks = [_tick(value, scale.label(value), 11) for value in at]
    places: Floats = np.array([low + width * (slot + 0.5) for slot in range(n_bins)])
    return Slots(places, tuple(names), of_value, (at, ticks), width, f"Answer, in bins of {width:g}")


def _tick(value: Number, label: str, room: int) -> str:
    return f"{value:g}<br>{wrapped(label, room)}" if label else f"{value:g}"
