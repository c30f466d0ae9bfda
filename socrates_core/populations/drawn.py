"""The population that was requested next to the one that was drawn."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from socrates_core.personas import Person
from socrates_core.populations.bands import BANDS, group, in_order
from socrates_core.populations.panel import PanelSpec
from socrates_core.records import DEMOGRAPHICS

MISSING = "not given"
COLUMNS = ["field", "value", "requested", "drawn", "n"]


def requested_and_drawn(
    spec: PanelSpec, people: Sequence[Person], pool: pd.DataFrame | None = None
) -> pd.DataFrame:
    """A row for each field and value: field, value, requested and drawn (shares), n (simulated people).

    Requested are the described shares, or those of the `pool` that a panel is sampled from, NaN without a pool. Drawn
    shares are weighted like the people. A sampled panel has ages in bands, and counts people without a field as "not
    given".
    """
    frame = pd.DataFrame([dict(person.demographics) for person in people], index=range(len(people)))
    weights = np.array([person.weight for person in people], dtype=float)
    tables = []
    for field in spec.describe if spec.kind == "describe" else DEMOGRAPHICS:
        values = frame.get(field, pd.Series(index=frame.index, dtype=object))
        if spec.kind == "describe":
            shares = pd.Series(spec.describe[field], dtype=float)
            requested = shares / shares.sum()
            groups = group(values, field, tuple(spec.describe[field]) if field in BANDS else ())
            names = list(requested.index)
        else:
            groups = group(values, field).fillna(MISSING)
            requested = pd.Series(dtype=float)
            if pool is not None:
                requested = group(pool[field], field).fillna(MISSING).value_counts(normalize=True)
            names = list(dict.fromkeys([*requested.index, *groups.value_counts().index]))
            names = [*in_order([name for name in names if name != MISSING], field), MISSING]
            if set(groups) == {MISSING} and set(requested.index) <= {MISSING}:
                continue  # nobody was asked this
            names = [name for name in names if name in requested.index or (groups == name).any()]
        unknown = np.nan if spec.kind == "sample" and pool is None else 0.0
        tables.append(
            pd.DataFrame(
                {
                    "field": field,
                    "value": names,
                    "requested": [float(requested.get(name, unknown)) for name in names],
                    "drawn": [float(weights[groups == name].sum() / weights.sum()) for name in names],
                    "n": [int((groups == name).sum()) for name in names],
                }
            )
        )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)
