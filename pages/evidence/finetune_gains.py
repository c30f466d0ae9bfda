"""What finetuning gained: how much closer than its base a model is on held-out material, and for which groups."""

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from pages.evidence import comparison_charts, comparison_rows, learning_chart
from pages.view import state
from pages.view.charts import dots
from pages.view.charts.show import show_chart, theme
from pages.view.fields.link import linked_select
from pages.view.words import counted, escape, show_error, visible
from socrates_core.analysis.bootstrap import MIN_STUDIES_FOR_INTERVAL, Measure
from socrates_core.analysis.parity import MINIMUM, ParityChange
from socrates_core.errors import UserError
from socrates_core.evaluations.comparison import Comparison
from socrates_core.finetuning.generalisation import (
    Pair,
    arrange,
    find_pairs,
    finetunes,
    score_pair,
    submit_missing,
)
from socrates_core.finetuning.learning_curve import (
    SHARES,
    LearningCurve,
    curve_table,
    learning_curves,
    render_shares,
)
from socrates_core.personas import label
from socrates_core.reporting.comparison_measures import MEASURES, NAMES

SHOWN = (
    "wasserstein_exact_stated",
    "wasserstein_observed",
    "wasserstein_exact_observed",
    "accuracy_draw",
    "log_score",
    "valid_mass",
)


def show_finetunes() -> None:
    """Every finetune that was evaluated together with its base."""
    pairs = find_pairs()
    if not pairs:
        st.info(
            "Whether a finetuned model does better than its base on studies, conditions, outcomes or people that its "
            "training held out stands here, once both were evaluated on them.",
            icon=":material/model_training:",
        )
    else:
        _show_table(pairs)
    _offer_missing()
    if pairs:
        named = {
            pair.tuned.id: f"{pair.finetune.name}, unseen {pair.kind}, {_asked(pair.tuned.spec.cap)}"
            for pair in pairs
        }
        chosen = linked_select("Finetune, before and after", named, "finetune", "compare")
        _show_parity(next(pair for pair in pairs if pair.tuned.id == chosen))
        _show_curves(learning_curves(pairs))


def _offer_missing() -> None:
    """A box that starts the evaluation of a finetuned model and its base on what training held out."""
    known = {finetune.name: finetune for finetune in finetunes()}
    if not known:
        st.caption("No model was finetuned on this machine yet.")
        return
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    chosen = left.selectbox(
        "Evaluate a finetune and its base on what was held out", list(known), key="generalise"
    )
    if right.button("Evaluate", icon=":material/play_arrow:", width="stretch", key="generalise_start"):
        try:
            jobs = submit_missing(known[chosen])
        except UserError as error:
            show_error(error)
            return
        if jobs:
            state.go_to(state.PAGES.compare, evaluations=",".join(job.id for job in jobs))
        st.caption("Both were evaluated already.")


def _show_table(pairs: Sequence[Pair]) -> None:
    with st.spinner("Scoring the finetunes"):
        scores = arrange(
            [row for pair in pairs for row in _rows(comparison_rows.comparison_key(pair.evaluations), pair)]
        )
    _show_improvements(scores[scores["role"] == "finetuned"])
    st.dataframe(
        pd.DataFrame([_row(row) for row in scores.to_dict("records")]),
        hide_index=True,
        key="generalisations",
        placeholder="–",
        alt="Finetuned models, their bases and baselines on what training held out",
        column_config={
            "Unseen": st.column_config.TextColumn("Unseen", pinned=True, width=110),
            "Who": st.column_config.TextColumn("Who", pinned=True, width=190),
            **{
                MEASURES[name].label: st.column_config.TextColumn(help=MEASURES[name].meaning)
                for name in SHOWN
            },
        },
    )
    st.caption(
        "Each model is measured on the split that it was trained for, on rows that its training did not see, and "
        "its base on the same rows. Closer than the base: 1 minus W over the base’s W, exact distributions on the "
        "stated scale. 95% intervals are over studies; with fewer than "
        f"{MIN_STUDIES_FOR_INTERVAL} studies there are none. They do not say how a finetune with another seed would do."
    )


# Streamlit does not hash `_pair`; `key` says when to score again.
@st.cache_data(show_spinner=False, max_entries=200)
def _rows(key: tuple[str, ...], _pair: Pair) -> list[dict[str, Any]]:
    return score_pair(_pair, _compared(key, _pair))


@st.cache_resource(show_spinner=False, max_entries=4)
def _compared(key: tuple[str, ...], _pair: Pair) -> Comparison:
    return Comparison(_pair.evaluations)


def _row(record: dict[Any, Any]) -> dict[str, Any]:
    who = str(record["who"])
    return {
        "Unseen": record["kind"],
        "Who": visible(NAMES.get(who, who)),
        "Closer than the base": _percent(_measure(record, "improvement")),
        **{MEASURES[name].label: comparison_rows.measure_text(_measure(record, name)) for name in SHOWN},
        "Effect r": comparison_rows.measure_text(_measure(record, "effect_r"), 2),
        "Asked": _asked(record["cap"]),
        "Studies": record["n_studies"],
        "People": record["n_people"],
        "Cells": record["n_cells"],
        "Rows": record["n_rows"],
        "Rows seen, left out": record["n_left_out"],
        "Method": record.get("method"),
        "Split": visible(str(record["split"])),
    }


def _measure(record: dict[Any, Any], name: str) -> Measure:
    return Measure(*(record.get(f"{name}{end}", float("nan")) for end in ("", "_low", "_high")))


def _asked(cap: float | None) -> str:
    return "everybody" if cap is None or math.isnan(cap) else f"{cap:.0f} a cell"


def _percent(share: Measure) -> str:
    """A share as "26% [10%, 40%]", or an en dash if it is unknown."""
    value, low, high = (f"{100 * end:.0f}%" for end in (share.value, share.low, share.high))
    interval = "" if math.isnan(share.low) else f" [{low}, {high}]"
    return "–" if math.isnan(share.value) else f"{value}{interval}"


def _show_improvements(scores: pd.DataFrame) -> None:
    scored = scores[scores["improvement"].notna()] if "improvement" in scores else scores.iloc[:0]
    if scored.empty:
        return
    shares = {
        name: 100 * scored[f"improvement{end}"]
        for name, end in (("difference", ""), ("low", "_low"), ("high", "_high"))
    }
    frame = scored.assign(
        outcome=[f"Unseen {kind}" for kind in scored["kind"]],
        condition=[
            f"{name}, {_asked(cap)}" for name, cap in zip(scored["finetune"], scored["cap"], strict=True)
        ],
        n=scored["n_people"],
        **shares,
    )[["outcome", "condition", "who", "difference", "low", "high", "n"]]
    figure = dots.figure(
        dots.effect_rows(frame),
        title="How much closer to people’s answers than the base?",
        note="",
        theme=theme(),
        axis="Smaller W than the base’s, %",
    )
    show_chart(figure, frame, "generalisations")


def _show_parity(pair: Pair) -> None:
    """Scores by groups of people before and after finetuning, and how the gap between them changed."""
    key = comparison_rows.comparison_key(pair.evaluations)
    comparison = _compared(key, pair)
    if comparison.seen_only:
        st.caption(
            escape(f"Training saw all that {pair.finetune.name} was evaluated on, so nothing is scored.")
        )
        return
    st.page_link(
        state.PAGES.compare,
        label="Open both side by side",
        icon=":material/compare_arrows:",
        query_params={"evaluations": ",".join(evaluation.id for evaluation in pair.evaluations)},
    )
    fields = comparison_rows.demographic_fields(comparison)
    if not fields:
        st.caption("Nothing is known about the people of these studies, so no groups are compared.")
        return
    field = linked_select("Groups by", fields, "field", comparison_rows.of_studies(comparison))
    parity = _parity(key, field, comparison)
    frame = comparison_rows.groups(dict(zip(comparison.names, (parity.before, parity.after), strict=True)))
    if frame.empty:
        st.caption(f"No group has {MINIMUM} people in at least half of the cells, so none is scored.")
        return
    title = f"Are some people predicted worse than others, before and after? {label(field)}"
    show_chart(comparison_charts.group_heat(frame, title=title, theme=theme()), frame, f"parity_{field}")
    st.markdown(escape(_gap(parity)))
    st.caption(
        f"Squared distances on the stated scale, without sampling noise, over "
        f"{counted(parity.before.n_cells, 'cell')} in which every group has {MINIMUM} people. Intervals redraw people, "
        "the same for both models."
    )


@st.cache_data(show_spinner="Scoring every group", max_entries=40)
def _parity(key: tuple[str, ...], field: str, _comparison: Comparison) -> ParityChange:
    before, after = _comparison.names
    return _comparison.parity_change(before, after, field)


def _gap(parity: ParityChange) -> str:
    if len(parity.before.subgroups) < 2:
        return "Only one group is large enough to compare."
    before, after, change = map(
        comparison_rows.measure_text, (parity.before.difference, parity.after.difference, parity.change)
    )
    return f"Parity gap {before} before, {after} after finetuning: a change of {change}."


def _show_curves(curves: Sequence[LearningCurve]) -> None:
    if not curves:
        st.caption(
            "A learning curve appears here once finetunes that differ only in their share of people were evaluated. "
            "Switch it on under Launch, or run: "
            f"`python -m socrates_core train CONFIG.yaml --shares {render_shares(SHARES)} --evaluate`"
        )
        st.page_link(
            state.PAGES.launch,
            label="Launch a learning curve",
            icon=":material/rocket_launch:",
            query_params={"curve": "true", "evaluate": "true"},
        )
        return
    named = {curve.pairs[-1].finetune.name: curve.title for curve in curves}
    chosen = linked_select("Learning curve", named, "curve", "compare")
    measure = linked_select(
        "Measure of the curve", {name: MEASURES[name].label for name in SHOWN}, "of", "curve"
    )
    curve = next(curve for curve in curves if curve.pairs[-1].finetune.name == chosen)
    per_cell = curve.pairs[-1].finetune.spec.per_cell
    evaluations = [curve.pairs[0].base, *(pair.tuned for pair in curve.pairs)]
    scores = _curve(comparison_rows.comparison_key(evaluations), curve)
    if measure not in scores or scores.loc[scores["role"] == "finetuned", measure].isna().all():
        st.caption("No row that training did not see has this measure, so nothing is scored.")
        return
    ends = {
        name: scores[f"{measure}{end}"] for name, end in (("value", ""), ("low", "_low"), ("high", "_high"))
    }
    frame = scores.assign(**ends)[["who", "role", "share", "n_examples", "value", "low", "high"]]
    figure = learning_chart.learning_curve(
        frame,
        title=f"How many people does it take? {MEASURES[measure].label}",
        axis=MEASURES[measure].label,
        per_cell=per_cell,
        theme=theme(),
    )
    show_chart(figure, frame, f"learning_{measure}")
    st.caption(
        escape(
            f"{MEASURES[measure].label}: {MEASURES[measure].meaning}. "
            f"{comparison_rows.BETTER[MEASURES[measure].better]} "
            f"One finetune for each share of the people, with at most {per_cell:,} people per cell. Hover for its "
            "examples. Lines are 95% intervals over studies."
        )
    )


@st.cache_data(show_spinner="Scoring the learning curve", max_entries=20)
def _curve(key: tuple[str, ...], _curve: LearningCurve) -> pd.DataFrame:
    comparison = _curve.compare()
    return pd.DataFrame() if comparison.seen_only else curve_table(_curve, comparison)
