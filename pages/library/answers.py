"""The answers to one study: an outcome by condition or by demographic group, or all outcomes as a grid."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.view import cached
from pages.view.charts import answer_charts, frames
from pages.view.charts.answer_charts import MOST_CONDITIONS
from pages.view.charts.show import show_chart, theme
from pages.view.fields.link import distinct, linked_select
from pages.view.words import counted, escape, shorten, show_text
from socrates_core.analysis.intervals import SampleSize
from socrates_core.corpus.queries import Corpus, StudyRecord, read_scale
from socrates_core.personas import label
from socrates_core.populations.bands import in_order
from socrates_core.records import DEMOGRAPHICS
from socrates_core.studies.answers import Outline, StudyItem

SMALLEST = 30
GRID = {"distributions": "Distributions", "means": "Means", "n": "Numbers of answers"}


def show_answers(corpus: Corpus, record: StudyRecord, plan: Outline) -> None:
    """The answers, and the fields that choose what is shown. All choices are in the link."""
    scope = f"{corpus.name}/{record.study_id}"
    left, right = st.columns([3, 2])
    items = {str(at): shorten(item.name, 90) for at, item in enumerate(plan.items)}
    chosen = linked_select(
        "Outcome", items | {"all": "All outcomes × conditions"}, "outcome", scope, where=left
    )
    if chosen == "all":
        show_grid(corpus, record, plan, linked_select("Show", GRID, "grid", scope, where=right))
        return
    fields = {"": "condition"} | {field: label(field).lower() for field in DEMOGRAPHICS}
    field = linked_select("Split by", fields, "by", scope, where=right)
    item = plan.items[int(chosen)]
    show_text(item.question or "See Conditions for the full text.")
    if field:
        _by_group(corpus, record, plan, item, field=field)
    else:
        _by_condition(corpus, record, plan, item)


def _of(item: StudyItem, tallies: pd.DataFrame) -> pd.DataFrame:
    return tallies[(tallies["task_num"] == item.task_num) & (tallies["part"] == item.part)]


def _by_condition(corpus: Corpus, record: StudyRecord, plan: Outline, item: StudyItem) -> None:
    tallies = _of(item, cached.study_tallies(corpus.name, record.study_id, None, cached.stamp(corpus.name)))
    names = distinct({number: plan.conditions[number] for number in item.scales})
    sizes = cached.share_sizes(corpus.name, record.study_id, None, None, cached.stamp(corpus.name))
    for at, (text, of_scale) in enumerate(tallies.groupby("scale", sort=False, dropna=False)):
        panels = {number: name for number, name in names.items() if number in set(of_scale["condition_num"])}
        title = f"What did people answer? {item.name}"
        of_panels = _sizes(sizes, item, text)
        _chart(
            of_scale, text, panels, of_panels, by="condition_num", title=title, name=f"people_answers_{at}"
        )
    _caption(tallies, sizes)


def _by_group(corpus: Corpus, record: StudyRecord, plan: Outline, item: StudyItem, *, field: str) -> None:
    tallies = _of(item, cached.study_tallies(corpus.name, record.study_id, field, cached.stamp(corpus.name)))
    left, right = st.columns([3, 2])
    scope = f"{corpus.name}/{record.study_id}/{item.key}"
    conditions = {"": "all conditions together"} | {
        str(number): plan.conditions[number] for number in item.scales
    }
    condition = linked_select("Condition", conditions, "condition", scope, where=left)
    smallest = int(
        right.number_input("Smallest group shown", 1, 1000, SMALLEST, key="min_n", bind="query-params")
    )
    if condition:
        tallies = tallies[tallies["condition_num"] == int(condition)]
    sizes = cached.share_sizes(
        corpus.name,
        record.study_id,
        field,
        int(condition) if condition else None,
        cached.stamp(corpus.name),
    )
    n_answers = (
        tallies.dropna(subset=["value"]).groupby("group", sort=False)["n"].sum().sort_values(ascending=False)
    )
    names = in_order([str(name) for name, n in n_answers.items() if n >= smallest], field)
    few = [f"{name} ({n:,})" for name, n in n_answers.items() if n < smallest]
    for at, (text, of_scale) in enumerate(tallies.groupby("scale", sort=False, dropna=False)):
        of_panels = _sizes(sizes, item, text)
        title = f"What did people answer by {label(field).lower()}? {item.name}"
        _chart(
            of_scale,
            text,
            {name: name for name in names},
            of_panels,
            by="group",
            title=title,
            name=f"group_answers_{at}",
        )
    if not names:
        st.info(
            f"No group of {label(field).lower()} has {smallest} answers here. Choose another field, all conditions "
            "together, or a smaller number.",
            icon=":material/group_off:",
        )
    if few:
        st.caption(
            escape(
                f"Not shown, as they have fewer than {smallest} answers: {', '.join(few[:12])}"
                f"{f' and {len(few) - 12} more' if len(few) > 12 else ''}."
            )
        )
    missing = int(tallies.loc[tallies["group"].isna(), "n"].sum())
    if missing:
        st.caption(f"{counted(missing, 'answer')} of people who did not say are left out.")
    _caption(tallies, sizes)


def _sizes(
    sizes: dict[tuple[int, str, str, Any], SampleSize], item: StudyItem, scale: Any
) -> dict[Any, SampleSize]:
    """The sizes of the panels of one item on one scale."""
    return {key[3]: size for key, size in sizes.items() if key[:3] == (item.task_num, item.part, scale)}


def _chart(
    tallies: pd.DataFrame,
    text: Any,
    panels: dict[Any, str],
    sizes: dict[Any, SampleSize],
    *,
    by: str,
    title: str,
    name: str,
) -> None:
    """The distributions on one scale. A study may use several scales for one outcome."""
    scale = read_scale(text if isinstance(text, str) else None)
    drawn = panels
    if len(panels) > MOST_CONDITIONS:
        names = list(panels)
        picked = st.multiselect(
            "Shown",
            names,
            default=names[:MOST_CONDITIONS],
            format_func=panels.__getitem__,
            max_selections=MOST_CONDITIONS,
            key=f"shown_{name}",
        )
        drawn = {number: panels[number] for number in picked}
    frame = frames.distribution_frame(tallies, scale, drawn, by, sizes)
    if frame.empty:
        return
    show_chart(answer_charts.distribution(frame, scale=scale, title=title, theme=theme()), frame, name)
    if scale.is_open:
        st.caption("An open number: the middle 98% of the answers are shown.")


def _caption(tallies: pd.DataFrame, sizes: dict[tuple[int, str, str, Any], SampleSize]) -> None:
    n = round(tallies["n"].sum())
    dropped = int(tallies.loc[tallies["value"].isna(), "n"].sum())
    off = f"{dropped:,} of them off the scale and not shown" if dropped else "none of them off the scale"
    allowed = (
        " n counts people; the intervals allow for repeated answers, clusters, and weights." if sizes else ""
    )
    st.caption(
        f"{counted(n, 'answer')}, {off}. Bars: share of a panel's answers, with 95% intervals.{allowed}"
    )


def show_grid(corpus: Corpus, record: StudyRecord, plan: Outline, what: str) -> None:
    """Every outcome in every condition. The longer list goes down."""
    cells = _cells(corpus.name, record.study_id, what, cached.stamp(corpus.name))
    outcomes = {str(at): item.name for at, item in enumerate(plan.items)}
    conditions = {str(number): name for number, name in plan.conditions.items()}
    down, across = (conditions, outcomes) if len(conditions) > len(outcomes) else (outcomes, conditions)
    turned = down is conditions
    columns = {at: [cells.get((left, at) if turned else (at, left)) for left in down] for at in across}
    frame = pd.DataFrame({"name": list(down.values()), **columns})
    highest = 1.0
    if what == "distributions":
        highest = max((max(shares) for shares in cells.values()), default=1.0)
    config: dict[str, Any] = {at: _column(name, what, highest) for at, name in across.items()}
    config["name"] = st.column_config.TextColumn("Condition" if turned else "Outcome", pinned=True, width=220)
    st.dataframe(
        frame,
        hide_index=True,
        column_config=config,
        key="grid_table",
        row_height=64 if what == "distributions" else 35,
        alt="Answers to every outcome in every condition",
    )
    captions = {
        "distributions": "Each cell: how a condition's answers spread over the scale, low to high, on one height.",
        "means": "Each cell: the mean of the answers on the outcome's own scale.",
        "n": "Each cell: how many answers lie on the scale.",
    }
    st.caption(f"{captions[what]} Answers off the scale are left out; an empty cell was not asked.")


def _column(name: str, what: str, highest: float) -> Any:
    if what == "distributions":
        return st.column_config.BarChartColumn(name, width=170, y_min=0, y_max=highest, color="gray")
    return st.column_config.NumberColumn(name, format="%.2f" if what == "means" else "localized")


@st.cache_data(show_spinner=False, max_entries=200)
def _cells(corpus: str, study_id: str, what: str, stamp: str) -> dict[tuple[str, str], Any]:
    """By condition and position of the item: shares in at most 20 bins, the mean, or the number of answers."""
    tallies = cached.study_tallies(corpus, study_id, None, stamp).dropna(subset=["value"])
    place = {item.key: str(at) for at, item in enumerate(cached.study_outline(corpus, study_id, stamp).items)}
    cells: dict[tuple[str, str], Any] = {}
    for (number, task, part), of_cell in tallies.groupby(["condition_num", "task_num", "part"], sort=False):
        n = of_cell["n"].to_numpy(dtype=float)
        values = of_cell["value"].to_numpy(dtype=float)
        key = (str(number), place[int(str(task)), str(part)])
        if what == "distributions":
            scale = read_scale(
                of_cell["scale"].iloc[0] if isinstance(of_cell["scale"].iloc[0], str) else None
            )
            edges = np.asarray(scale.values if scale.values else np.unique(values), dtype=float)
            bins = np.clip(np.searchsorted(edges, values) * min(20, len(edges)) // len(edges), 0, 19)
            cells[key] = (
                (np.bincount(bins, weights=n, minlength=min(20, len(edges))) / n.sum()).round(4).tolist()
            )
        else:
            cells[key] = float(n @ values / n.sum()) if what == "means" else round(n.sum())
    return cells
