"""The form of a panel experiment: its dimensions, other wordings, and which specifications are run and chosen."""

from dataclasses import dataclass
from typing import get_args

import pandas as pd
import streamlit as st

from pages.project.specification_chart import DIMENSIONS
from pages.view.fields.model import DECODING_HELP, choose_models
from pages.view.words import counted, escape, shorten, visible
from socrates_core.asking.consent import Sending, what_is_sent
from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.jobs.progress import describe_seconds
from socrates_core.personas import Person
from socrates_core.projects.answer_orders import Order
from socrates_core.projects.experiments import MOST, Specification, cross, estimate_cost, one_order
from socrates_core.projects.paraphrases import Paraphrase, paraphrased
from socrates_core.records import Decoding, Precision
from socrates_core.surveys.draft import Draft


@dataclass(frozen=True)
class Planned:
    """The specifications to run, the position of the chosen one, and the other wordings."""

    specifications: list[Specification]
    chosen: int
    paraphrases: list[Paraphrase]


def plan(draft: Draft, scope: str) -> Planned:
    """Draws the form. `scope` keeps the widgets of different drafts apart."""
    models = choose_models("experiment")
    with st.container(horizontal=True, gap="large"):
        precisions: list[Precision] = st.segmented_control(
            "Number formats",
            get_args(Precision),
            selection_mode="multi",
            default=["auto"],
            key="experiment_precisions",
            help="Of models on this machine; stand-ins and served models have none.",
        )
        decodings: list[Decoding] = st.segmented_control(
            "Decodings",
            get_args(Decoding),
            selection_mode="multi",
            default=["exact"],
            key="experiment_decodings",
            help=DECODING_HELP,
        )
        orders = _choose_orders(draft)
    paraphrases = _choose_wordings(draft, scope)
    specifications = cross(
        models.names,
        precisions=precisions,
        decodings=decodings,
        orders=orders,
        paraphrases=paraphrases,
        service=models.service,
    )
    if not 1 <= len(specifications) <= MOST:
        st.warning(
            f"{counted(len(specifications), 'specification')}: choose from 1 to {MOST}.",
            icon=":material/help:",
        )
        return Planned([], 0, paraphrases)
    return _choose_specifications(specifications, paraphrases)


def _choose_orders(draft: Draft) -> list[Order]:
    fixed = one_order(draft)
    if len(fixed) == len(draft.outcomes):
        return ["as written"]
    kept = f" It leaves {', '.join(fixed)} as written, which cannot be reversed." if fixed else ""
    orders: list[Order] = st.segmented_control(
        "Order of answers",
        get_args(Order),
        selection_mode="multi",
        default=["as written"],
        key="experiment_orders",
        help=escape(f"reversed: “from 7 to 1, where 7 means ...”, every value keeping its meaning.{kept}"),
    )
    return orders


def _choose_wordings(draft: Draft, scope: str) -> list[Paraphrase]:
    """The wordings that the person writes. A wording that changes nothing yet is left out."""
    n = int(st.number_input("Other wordings, written by you", 0, 10, key=f"wordings:{scope}"))
    wordings = []
    for number in range(1, n + 1):
        with st.expander(f"Wording {number}", expanded=number == n):
            wording = _wording(draft, f"{scope}:{number}", f"wording {number}")
            try:
                paraphrased(draft, wording)
                wordings.append(wording)
            except UserError as error:
                st.caption(escape(str(error)))
    return wordings


def _wording(draft: Draft, scope: str, name: str) -> Paraphrase:
    """One wording: the texts of the draft that the person has changed."""
    called = st.text_input("Name", name, key=f"wording:{scope}")
    texts = {
        part.name: st.text_area(
            escape(f"Condition {part.name}"), part.text, key=f"wording:{scope}:c:{part.name}"
        )
        for part in draft.conditions
    }
    questions = {
        part.name: st.text_area(
            escape(f"Question {part.name}"), part.question, key=f"wording:{scope}:o:{part.name}"
        )
        for part in draft.outcomes
    }
    return Paraphrase(
        name=called,
        conditions={
            part.name: texts[part.name] for part in draft.conditions if texts[part.name] != part.text
        },
        outcomes={
            part.name: questions[part.name]
            for part in draft.outcomes
            if questions[part.name] != part.question
        },
    )


def _choose_specifications(specifications: list[Specification], paraphrases: list[Paraphrase]) -> Planned:
    """A table of all combinations, to leave some out and to choose one."""
    table = pd.DataFrame(
        [
            {"run": True, **{k: visible(v) for k, v in specification.levels.items()}}
            for specification in specifications
        ]
    )
    kept = st.data_editor(
        table,
        hide_index=True,
        disabled=list(DIMENSIONS),
        height=min(400, 38 + 35 * len(table)),
        alt="Specifications",
        # Ticks belong to rows by position, so another list needs a table with no ticks of its own.
        key=f"specifications:{digest([specification.as_dict() for specification in specifications])}",
        column_config={"run": st.column_config.CheckboxColumn("Run", width="small"), **DIMENSIONS},
    )
    chosen = [specification for specification, run in zip(specifications, kept["run"], strict=True) if run]
    if not chosen:
        st.warning("Tick at least one specification.", icon=":material/help:")
        return Planned([], 0, paraphrases)
    at = st.selectbox(
        "The chosen specification",
        range(len(chosen)),
        format_func=lambda i: shorten(chosen[i].label, 120),
        key=f"chosen:{len(chosen)}",
        help="The one that you would report: it is named before anything is answered.",
    )
    return Planned(chosen, at, paraphrases)


def show_cost(draft: Draft, people: list[Person], planned: Planned) -> None:
    """The number of answers and the time. Raises UserError if a model cannot be used."""
    cost = estimate_cost(draft, people, planned.specifications)
    left = (
        describe_seconds(cost.seconds)
        if cost.seconds is not None
        else "not known before each model's first run here"
    )
    dollars = " The price is not known." if cost.usd is None else ""
    if cost.usd:
        dollars = f" About ${cost.usd:,.2f}."
    st.markdown(
        escape(
            f"{counted(cost.n_runs, 'specification')} × {counted(len(people), 'person', 'people')} × "
            f"{counted(len(draft.conditions), 'condition')} × {counted(len(draft.outcomes), 'outcome')} = "
            f"{cost.n_answers:,} answers; time on this machine: {left}.{dollars} "
            "Answers already in the cache are not computed again."
        )
    )


def leaving(draft: Draft, people: list[Person], specifications: list[Specification]) -> list[Sending]:
    """What would be sent to other machines, one entry for each model."""
    n_questions = len(people) * len(draft.conditions) * len(draft.outcomes)
    models = [specification.model for specification in specifications]
    sent = [
        what_is_sent(model.name, model.service, people, n_questions * models.count(model))
        for model in dict.fromkeys(models)
    ]
    return [sending for sending in sent if sending is not None]
