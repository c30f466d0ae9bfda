"""What is shown before a finetune starts: held-out sides, leaks, examples, cost, file and command."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from pages.models import finetune_form, held_out_chart
from pages.models.after_training import Plan
from pages.view.charts.show import show_chart, theme
from pages.view.fields.table import pages_of
from pages.view.words import counted, escape, percent_text, visible
from socrates_core.files import digest
from socrates_core.finetuning.estimate import estimate_training
from socrates_core.finetuning.insight import Insight, ShownExample, look_at
from socrates_core.finetuning.leaks import Leak, find_leaks
from socrates_core.finetuning.rows import SIDES, TrainingRows, count_sides, unit_of
from socrates_core.finetuning.spec import TrainingSpec

NEVER_READ = frozenset(
    {  # fields that change neither the rows nor the examples
        "name",
        "tuning",
        "precision",
        "rank",
        "alpha",
        "dropout",
        "learning_rate",
        "schedule",
        "warmup",
        "weight_decay",
        "clip",
        "batch_size",
        "epochs",
        "max_steps",
        "micro_tokens",
        "checkpointing",
        "evaluate_every",
        "patience",
        "beta",
        "accept_leaks",
    }
)
Rows = Callable[[], TrainingRows]  # chooses them when first called: nothing is chosen where all is cached


def show_sides(spec: TrainingSpec, rows: Rows, stamp: str) -> None:
    """The chart of what is held out, with its totals in a sentence."""
    drawn = _drawn(_key(spec), stamp, spec, rows)
    totals = ", ".join(
        f"{n:,} {held_out_chart.NAMES[str(side)].lower()}"
        for side, n in drawn.sides[list(SIDES)].sum().items()
        if n
    )
    st.caption(f"{drawn.unit.capitalize()}: {totals}.")
    chart = held_out_chart.figure(drawn.sides, unit=drawn.unit, theme=theme())
    show_chart(chart, drawn.sides, "training_sides")


def show_leaks(spec: TrainingSpec, rows: Rows, stamp: str) -> TrainingSpec | None:
    """The held-out material that would be trained on; returns the spec with the reason why it may, None without one."""
    leaks = _drawn(_key(spec), stamp, spec, rows).leaks
    if not leaks:
        st.markdown(":green[:material/verified_user:] Nothing that is held out is trained on.")
        return spec
    st.error("\n".join(f"- {escape(leak.sentence)}" for leak in leaks), icon=":material/policy_alert:")
    reason = finetune_form.field("accept_leaks", "", "launch")
    if not reason:
        st.caption("It does not start with a leak, unless you say here why this one does not matter.")
        return None
    return spec.model_copy(update={"accept_leaks": reason})


def show_insight(spec: TrainingSpec, rows: Rows, stamp: str) -> Insight:
    """What the model would train on: how much, how long, and some examples."""
    insight = _looked_at(_key(spec), stamp, spec, rows)
    counts = {
        "Examples": insight.n_examples,
        "Studies": insight.n_studies,
        "Asked in a validation": insight.n_validation,
        "Tokens, median": insight.lengths.p50,
        "Tokens, 95%": insight.lengths.p95,
        "Tokens, longest": insight.lengths.max,
    }
    with st.container(horizontal=True):
        for name, n in counts.items():
            st.metric(name, f"{n:,}", width="content")
    st.caption(escape(insight.sentence))
    if insight.n_too_long:
        st.error(
            f"{counted(insight.n_too_long, 'example')} of more than {insight.limit:,} tokens, which is all that this "
            "model reads. Leave out the studies with the longest texts, or choose a model that reads more.",
            icon=":material/error:",
        )
    with st.expander("Rows of each study"):
        st.dataframe(
            insight.per_study.map(lambda value: visible(value) if isinstance(value, str) else value),
            hide_index=True,
            alt="Rows of each study",
            column_config={"study_id": "Study", "rows": "Rows", "people": "People", "cells": "Cells"},
        )
    _show_examples(spec, insight.first)
    return insight


def _show_examples(spec: TrainingSpec, examples: tuple[ShownExample, ...]) -> None:
    st.markdown("**Examples, spread over all rows, as the model reads them**")
    st.caption("The loss falls on what is marked alone; everything else is only read.")
    for at in pages_of(len(examples), 1, "example"):
        with st.container(border=True):
            st.markdown(f"{escape(examples[at].prompt_text)}", width=720)
            for place, (text, share) in enumerate(examples[at].targets):
                lines = [f":orange-background[{escape(line)}]" for line in text.split("\n") if line]
                weight = _weighed(spec, place, share, len(examples[at].targets))
                st.markdown("  \n".join(lines) + weight, width=720)


def _weighed(spec: TrainingSpec, place: int, share: float, n: int) -> str:
    if spec.method == "dpo":
        return (" preferred", " rejected")[place]
    return f" {percent_text(share, 1)}" if n > 1 else ""


def show_cost(spec: TrainingSpec, insight: Insight, plan: Plan) -> None:
    with st.spinner("Looking how fast the model reads here"):
        estimate = estimate_training(spec, insight)
    st.markdown(escape(estimate.sentence))
    if plan.shares:
        st.caption(
            f"That is the one on everybody; the {len(plan.shares) - 1} on fewer people, of at most as many steps each, "
            "run before it."
        )


def show_file(spec: TrainingSpec, plan: Plan) -> None:
    """The configuration as a file, and the commands that do the same."""
    name = f"{spec.name}.yaml"
    st.code(visible(spec.as_yaml()), language="yaml", height=320)
    st.download_button(
        "Configuration (YAML)",
        spec.as_yaml(),
        name,
        "application/yaml",
        icon=":material/download:",
        on_click="ignore",
        key="train_yaml",
    )
    st.code(f"python -m socrates_core train {name}{plan.options}", language="bash", wrap_lines=True)
    if plan.shares:
        return
    st.caption("Or in the foreground, without the queue and what comes after it:")
    st.code(f"python -m training.{spec.method} {name}", language="bash", wrap_lines=True)


@dataclass(frozen=True)
class Drawn:
    """The sides of each study in a finetune, counted in `unit`, with the leaks."""

    sides: pd.DataFrame
    unit: str
    leaks: list[Leak]


# Streamlit does not hash `_spec` and `_rows`: `key` covers every field that can change them, `stamp` their data.
@st.cache_data(show_spinner="Drawing the rows", max_entries=8)
def _drawn(key: str, stamp: str, _spec: TrainingSpec, _rows: Rows) -> Drawn:
    rows = _rows()
    return Drawn(count_sides(rows), unit_of(rows.split), find_leaks(_spec, rows))


@st.cache_data(show_spinner="Reading the examples", max_entries=8)
def _looked_at(key: str, stamp: str, _spec: TrainingSpec, _rows: Rows) -> Insight:
    return look_at(_spec, _rows())


def _key(spec: TrainingSpec) -> str:
    return digest(spec.model_dump(mode="json", exclude=set(NEVER_READ)))
