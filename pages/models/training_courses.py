"""The parts of the page of finetunes: their states, their courses in the same charts, settings, and logs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.models import training_charts as charts
from pages.view import state
from pages.view.charts.palette import BASELINES, PEOPLE
from pages.view.charts.show import show_chart, theme
from pages.view.fields.link import linked_multiselect, listed
from pages.view.fields.live import ICONS, show_job, show_log
from pages.view.words import counted, escape, visible
from socrates_core.finetuning.generalisation import open_finetune, submit_missing
from socrates_core.finetuning.overview import Finetune, load_finetune, what_it_took
from socrates_core.finetuning.spec import TITLES, training_path
from socrates_core.scoring.versions import wrong_training

MOST, MOST_POINTS = 6, 1000
Labelled = Mapping[str, Finetune]


@dataclass(frozen=True)
class Quantity:
    """How a column of the history is drawn: question, axis, number format (d3), and whether it is smoothed."""

    title: str
    axis: str
    form: str
    smoothed: bool = False


LOSS = {"loss": Quantity("Does the loss on what it is trained on fall?", "Loss", ".3f", smoothed=True)}
MEASURES = {
    "w_stated": Quantity(
        "How far are its answers from people’s, on cells kept back?", "W, share of the stated scale", ".3f"
    ),
    "valid_mass": Quantity("How much of its probability is on valid answers?", "Valid mass", ".0%"),
    "accuracy": Quantity("How close is one drawn answer to each person’s?", "Accuracy, %", ".1f"),
    "log_score": Quantity(
        "How probable does it hold the answers that people gave?", "Log score, nats", ".2f"
    ),
    "effect_r": Quantity("Do its differences between conditions go with people’s?", "Correlation r", ".2f"),
}
SPEED = {
    "learning_rate": Quantity("How large are its steps?", "Learning rate", ".1e"),
    "tokens_per_second": Quantity("How fast does it read?", "Tokens a second", ",.0f", smoothed=True),
    "memory_mb": Quantity("How much memory has it taken?", "Most so far, MB", ",.0f"),
    "gradient_norm": Quantity(
        "How large are gradients before they are clipped?", "Norm", ".2f", smoothed=True
    ),
}


def choose_finetunes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The ids in the link, or those chosen in the box. The default is the newest finetune."""
    usable = {row["training_id"]: row for row in rows if row["state"] != "damaged"}
    damaged = {row["training_id"]: row["told"] for row in rows if row["state"] == "damaged"}
    linked = listed("trainings")
    for lost in (training_id for training_id in linked if training_id not in usable):
        reason = damaged.get(lost, f"There is no finetune {lost!r}; choose one here.")
        st.warning(escape(reason), icon=":material/help:")
    if not linked and damaged:
        st.caption(f"{counted(len(damaged), 'damaged finetune is', 'damaged finetunes are')} not offered.")
    return linked_multiselect(
        "Finetunes",
        {training_id: _name(row) for training_id, row in usable.items()},
        "trainings",
        key="trainings_box",
        usual=list(usable)[:1],
        most=MOST,
        placeholder="choose one or several to overlay",
    )


def _name(row: Mapping[str, Any]) -> str:
    parts = [row.get("name"), row.get("method"), row.get("base"), row.get("split")]
    day = str(row.get("created"))[:16].replace("T", " ")
    return visible(" · ".join([*map(str, parts), *([day] if day else [])]))


def labelled(ids: Sequence[str]) -> dict[str, Finetune]:
    """The finetunes by their name in the legend, which includes the id if two have the same name."""
    finetunes = [load_finetune(training_id) for training_id in ids]
    names = [PEOPLE, *BASELINES, *(finetune.spec.name for finetune in finetunes)]
    labels = [
        name if names.count(name) == 1 else f"{name} · {finetune.id}"
        for finetune in finetunes
        for name in [finetune.spec.name]
    ]
    return dict(zip(labels, finetunes, strict=True))


def show_states(finetunes: Labelled) -> None:
    """What each finetune is, how far it is, and what a person can do with it, two in a row."""
    columns = st.columns(min(len(finetunes), 2))
    for at, (label, finetune) in enumerate(finetunes.items()):
        with columns[at % 2]:
            _show_state(label, finetune)


def _show_state(label: str, finetune: Finetune) -> None:
    spec = finetune.spec
    with st.container(border=True):
        st.markdown(f"**{escape(label)}** · {escape(TITLES[spec.method])}")
        facts = f"{spec.base} · split {spec.split} · {spec.tuning} · seed {spec.seed} · {finetune.state}"
        st.caption(f"{ICONS.get(finetune.state, ':material/terminal:')} {escape(facts)}")
        if spec.accept_leaks:
            st.warning(escape(f"A leak was accepted: {spec.accept_leaks}"), icon=":material/water_drop:")
        if finetune.job:
            show_job(finetune.job)
        if finetune.card:
            st.caption(escape(what_it_took(finetune.card, training_path(finetune.id))))
            if outdated := wrong_training(finetune.card):
                st.warning(escape(f"{outdated} Train it again to be sure."), icon=":material/history:")
            if doubts := finetune.card.get("doubts"):
                st.warning(escape(" ".join(doubts)), icon=":material/help:")
            with st.container(horizontal=True, vertical_alignment="center"):
                _show_uses(finetune)


def _show_uses(finetune: Finetune) -> None:
    name = {"model": finetune.spec.name}
    st.page_link(
        state.PAGES.draft,
        label="Use in a draft",
        icon=":material/edit_note:",
        query_params=name,
    )
    st.page_link(state.PAGES.models, label="Open the model", icon=":material/smart_toy:", query_params=name)
    if st.button(
        "Evaluate on the held-out side",
        icon=":material/compare_arrows:",
        key=f"evaluate_{finetune.id}",
        help="Asks it and its base what the split holds out, at most 32 people a cell, unless that is done.",
    ):
        jobs = submit_missing(open_finetune(finetune.spec.name))
        if jobs:
            state.go_to(state.PAGES.compare, evaluations=",".join(job.id for job in jobs))
        state.go_to(state.PAGES.compare, compare_view="Finetunes")


def show_view(view: str, *ids: str) -> None:
    VIEWS[view](labelled(ids))


def show_learning(finetunes: Labelled) -> None:
    """The loss and the measures on the cells kept back, with a table of figures."""
    if not any(len(finetune.history[0]) + len(finetune.history[1]) for finetune in finetunes.values()):
        st.info(
            "Nothing is measured yet; the first step starts the charts.", icon=":material/hourglass_empty:"
        )
        return
    drawn = _step_charts(finetunes, LOSS) + _measure_charts(finetunes)
    _show_grid(drawn)
    st.caption(
        "Loss: every step faint, its running mean over a 25th of the steps, at least 10, thick. W of the exact "
        "distributions, lower is better; accuracy of one draw a person, as published; log score and effect r, higher "
        "is better. Validations carry no interval."
    )
    _show_figures(finetunes)


def show_speed(finetunes: Labelled) -> None:
    _show_grid(_step_charts(finetunes, SPEED))


def show_settings(finetunes: Labelled) -> None:
    """The settings of one finetune, or the settings in which several differ."""
    if len(finetunes) == 1:
        for finetune in finetunes.values():
            st.code(visible(finetune.spec.as_yaml()), language="yaml")
        st.caption("Saved as a file, this is what `python -m socrates_core train FILE.yaml` takes.")
        return
    table = differences(finetunes)
    if table.empty:
        st.info("They were asked for the very same, their names apart.", icon=":material/info:")
        return
    st.dataframe(table, hide_index=True, key="training_differences", alt="Settings that differ")
    st.caption("All other settings are the same.")


def show_logs(finetunes: Labelled) -> None:
    for label, finetune in finetunes.items():
        st.markdown(f"**{escape(label)}**")
        if finetune.job:
            show_log(finetune.job)
        else:
            st.caption("It was started by hand; its log is where it was started.")


VIEWS = {"Learning": show_learning, "Speed": show_speed, "Settings": show_settings, "Log": show_logs}


def differences(finetunes: Labelled) -> pd.DataFrame:
    """A row for each setting in which the finetunes differ, a column for each finetune; empty without differences."""
    settings = {
        label: finetune.spec.model_dump(mode="json", exclude={"name"})
        for label, finetune in finetunes.items()
    }
    table = pd.DataFrame(
        {
            visible(label): {name: str(value) for name, value in finetune.items()}
            for label, finetune in settings.items()
        }
    )
    table = table[table.nunique(axis=1) > 1].map(visible)
    return table.rename_axis("Setting").reset_index()


def _show_figures(finetunes: Labelled) -> None:
    table = figures(finetunes)
    if table.empty:
        st.caption("Nothing is kept back to validate on, or the first validation is still to come.")
        return
    number = st.column_config.NumberColumn
    st.dataframe(
        table,
        hide_index=True,
        key="training_figures",
        placeholder="–",
        alt="The base model and the best step",
        column_config={
            "Finetune": st.column_config.TextColumn(pinned=True),
            **{
                name: number(format="%.3f")
                for name in ("W stated", "Uniform", "W observed", "Log score", "Effect r")
            },
            **{name: number(format="%.0f%%") for name in ("W against base", "Valid mass")},
            "Accuracy": number(format="%.1f%%"),
        },
    )
    if len(table[["Uniform", "Answers", "Cells"]].drop_duplicates()) > 1:
        st.warning(
            "These finetunes were validated on different cells, so their measures do not compare. Evaluate them on one "
            "held-out side.",
            icon=":material/warning:",
        )
    st.caption(
        "On cells that are not trained on. The best step is chosen by its W on them, which flatters it: the held-out "
        "side of the split is the fair test."
    )


def figures(finetunes: Labelled) -> pd.DataFrame:
    """A row for each base model and each best step: all measures, and the number of answers behind them."""
    rows = []
    for label, finetune in finetunes.items():
        base = finetune.validation(0)
        for step in dict.fromkeys((0, finetune.best_step)):
            validation = finetune.validation(step)
            if validation is None:
                continue
            stage = " and best" if step == finetune.best_step == 0 else ""
            against = 100 * (validation["w_stated"] / base["w_stated"] - 1) if step and base else None
            rows.append(
                {
                    "Finetune": visible(label),
                    "Model": f"best, step {step:,}" if step else f"base{stage}",
                    "W stated": validation["w_stated"],
                    "W against base": against,
                    "Uniform": validation["w_uniform"],
                    "W observed": validation["w_observed"],
                    "Valid mass": 100 * validation["valid_mass"],
                    "Accuracy": validation["accuracy"],
                    "Log score": validation["log_score"],
                    "Effect r": validation["effect_r"],
                    "Answers": validation["n_rows"],
                    "Cells": validation["n_cells"],
                    "Studies": validation["n_studies"],
                }
            )
    return pd.DataFrame(rows)


def _over(finetunes: Labelled) -> str:
    """Steps as the horizontal axis if a step is the same size in all finetunes, else examples."""
    return "step" if len({finetune.spec.batch_size for finetune in finetunes.values()}) == 1 else "examples"


Charts = list[tuple[Any, pd.DataFrame, str]]


def _step_charts(finetunes: Labelled, columns: Mapping[str, Quantity]) -> Charts:
    drawn = []
    for name, column in columns.items():
        frame = step_frame(finetunes, name, smoothed=column.smoothed)
        if len(frame):
            figure = charts.course(
                frame,
                title=column.title,
                axis=column.axis,
                over=_over(finetunes),
                form=column.form,
                theme=theme(),
            )
            drawn.append((figure, frame, name))
    return drawn


def _measure_charts(finetunes: Labelled) -> Charts:
    drawn = []
    for name, column in MEASURES.items():
        frame = measure_frame(finetunes, name)
        if frame["value"].notna().any():
            figure = charts.measure(
                frame,
                title=column.title,
                axis=column.axis,
                over=_over(finetunes),
                form=column.form,
                theme=theme(),
            )
            drawn.append((figure, frame, name))
    return drawn


def _show_grid(drawn: Charts) -> None:
    for at in range(0, len(drawn), 2):
        for column, (figure, frame, name) in zip(
            st.columns(2, gap="large"), drawn[at : at + 2], strict=False
        ):
            with column:
                show_chart(figure, frame, f"training_{name}")


def step_frame(finetunes: Labelled, column: str, *, smoothed: bool) -> pd.DataFrame:
    """A column of every step as rows for `charts.course`. More than 1,000 steps are thinned evenly."""
    parts = []
    for label, finetune in finetunes.items():
        steps = finetune.history[0]
        value = steps[column].astype(float)
        mean = value.ewm(span=max(10, len(steps) / 25)).mean() if smoothed else value
        frame = _places(label, finetune, steps).assign(value=value, smoothed=mean)
        # Every k-th row, k rounded up. Without rows k would be 0, which a slice refuses.
        parts.append(frame.iloc[:: -(-len(frame) // MOST_POINTS) or 1])
    return pd.concat(parts, ignore_index=True)


def measure_frame(finetunes: Labelled, column: str) -> pd.DataFrame:
    """A measure at every validation as rows for `charts.measure`."""
    parts = []
    for label, finetune in finetunes.items():
        validations = finetune.history[1]
        uniform = validations["w_uniform"] if column == "w_stated" else np.nan
        mark = np.select(
            [validations["step"] == finetune.best_step, validations["step"] == 0], ["best", "base"], ""
        )
        parts.append(
            _places(label, finetune, validations).assign(
                value=validations[column].astype(float), uniform=uniform, mark=mark
            )
        )
    return pd.concat(parts, ignore_index=True)


def _places(label: str, finetune: Finetune, history: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": label,
            "step": history["step"].astype(int),
            "examples": history["step"].astype(int) * finetune.spec.batch_size,
        }
    )
