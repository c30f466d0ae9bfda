"""The form of a panel experiment: its dimensions, other wordings, and which specifications are run and chosen."""

from dataclasses import dataclass
from typing import get_args

import pandas as pd
import streamlit as st

from pages.project.specification_chart import DIMENSIONS
from pages.view import data
from pages.view.fields import consent
from pages.view.text import counted, escape, shorten, visible
from socrates_core.asking.consent import Sending, what_is_sent
from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.jobs.progress import describe_seconds
from socrates_core.models import is_served
from socrates_core.personas import Person
from socrates_core.projects.answer_orders import Order
from socrates_core.projects.experiments import MOST, Specification, cross, estimate_cost, one_order
from socrates_core.projects.paraphrases import Paraphrase, paraphrased
from socrates_core.records import Decoding, Precision
from socrates_core.surveys.draft import Draft


@dataclass(frozen=True)
class Planned:
    """What the form holds: the specifications that are kept, the position of the chosen one, the wordings."""

    specifications: list[Specification]
    chosen: int
    paraphrases: list[Paraphrase]


def plan(draft: Draft, scope: str) -> Planned:
    """Draws the form. `scope` keeps the widgets of different drafts apart."""
    titles = data.model_titles()
    models = st.multiselect(
        "Models",
        list(titles),
        default=["starter"] if "starter" in titles else None,
        accept_new_options=True,
        format_func=lambda name: titles.get(name, name),
        key="experiment_models",
        help="Type a folder, a hub id such as org/name, or api:MODEL of a server and press Enter to use another model.",
    )
    service = consent.service_fields() if any(is_served(name) for name in models) else None
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
            help="paper: temperature 0.6 and top-p 0.9, as published.",
        )
        orders = _choose_orders(draft)
    paraphrases = _choose_wordings(draft, scope)
    usable = models if service or not any(is_served(name) for name in models) else []
    found = cross(
        usable,
        precisions=precisions,
        decodings=decodings,
        orders=orders,
        paraphrases=paraphrases,
        service=service,
    )
    if not 1 <= len(found) <= MOST:
        st.warning(
            f"{counted(len(found), 'specification')}: choose from 1 to {MOST}.", icon=":material/help:"
        )
        return Planned([], 0, paraphrases)
    return _choose_specifications(found, paraphrases)


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
    """Other wordings that the person writes; one that changes nothing yet is not one."""
    n = int(st.number_input("Other wordings, written by you", 0, 10, key=f"wordings:{scope}"))
    found = []
    for number in range(1, n + 1):
        with st.expander(f"Wording {number}", expanded=number == n):
            told = _wording(draft, f"{scope}:{number}", f"wording {number}")
            try:
                paraphrased(draft, told)
                found.append(told)
            except UserError as error:
                st.caption(escape(str(error)))
    return found


def _wording(draft: Draft, scope: str, name: str) -> Paraphrase:
    """One wording: every text of the draft to be written anew; those left as they are do not count."""
    called = st.text_input("Name", name, key=f"wording:{scope}")
    texts = {
        each.name: st.text_area(
            escape(f"Condition {each.name}"), each.text, key=f"wording:{scope}:c:{each.name}"
        )
        for each in draft.conditions
    }
    questions = {
        each.name: st.text_area(
            escape(f"Question {each.name}"), each.question, key=f"wording:{scope}:o:{each.name}"
        )
        for each in draft.outcomes
    }
    return Paraphrase(
        name=called,
        conditions={
            each.name: texts[each.name] for each in draft.conditions if texts[each.name] != each.text
        },
        outcomes={
            each.name: questions[each.name]
            for each in draft.outcomes
            if questions[each.name] != each.question
        },
    )


def _choose_specifications(found: list[Specification], paraphrases: list[Paraphrase]) -> Planned:
    """All combinations, to untick some and to choose one."""
    table = pd.DataFrame([{"run": True, **{k: visible(v) for k, v in each.levels.items()}} for each in found])
    kept = st.data_editor(
        table,
        hide_index=True,
        disabled=list(DIMENSIONS),
        height=min(400, 38 + 35 * len(table)),
        alt="Specifications",
        key=f"specifications:{digest([each.as_dict() for each in found])}",
        column_config={"run": st.column_config.CheckboxColumn("Run", width="small"), **DIMENSIONS},
    )
    chosen = [each for each, run in zip(found, kept["run"], strict=True) if run]
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
    """What all of it takes. Raises UserError where a model cannot be used."""
    cost = estimate_cost(draft, people, planned.specifications)
    left = (
        describe_seconds(cost.seconds)
        if cost.seconds is not None
        else "not known before each model's first run here"
    )
    dollars = (
        f" About ${cost.usd:,.2f}."
        if cost.usd
        else ""
        if cost.usd is not None
        else " The price is not known."
    )
    st.markdown(
        escape(
            f"{counted(cost.n_runs, 'specification')} × {counted(len(people), 'person', 'people')} × "
            f"{counted(len(draft.conditions), 'condition')} × {counted(len(draft.outcomes), 'outcome')} = "
            f"{cost.n_answers:,} answers; time on this machine: {left}.{dollars} "
            "Answers already in the cache are not computed again."
        )
    )


def leaving(draft: Draft, people: list[Person], specifications: list[Specification]) -> list[Sending]:
    """What would be sent to other machines, a line a model."""
    n_questions = len(people) * len(draft.conditions) * len(draft.outcomes)
    asked = [specification.model for specification in specifications]
    sent = [
        what_is_sent(model.name, model.service, people, n_questions * asked.count(model))
        for model in dict.fromkeys(asked)
    ]
    return [each for each in sent if each is not None]
