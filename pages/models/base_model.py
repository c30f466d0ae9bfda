"""The base model of a finetune: chosen or typed, with what stands against training it; no weights are fetched."""

from dataclasses import dataclass

import streamlit as st

from pages.models import finetune_form
from pages.view import state
from socrates_core.errors import UserError
from socrates_core.finetuning.estimate import count_parameters
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.finetuning.submission import check_base
from socrates_core.models.catalog import HUB_MODELS, lacking_weights, list_models
from socrates_core.models.model_folder import open_folder

REMEMBERED = 300  # seconds for which the hub is not asked again
RELEASED = frozenset(model.hub_id for model in HUB_MODELS)


@dataclass(frozen=True)
class Base:
    """A base model, with how many parameters it has; None where that is not known.

    `lacking` is the hub model whose weights it needs and this machine lacks, `problem` why it cannot be looked at; each
    is empty where there is none.
    """

    name: str
    n_parameters: int | None = None
    lacking: str = ""
    problem: str = ""


def choose_base() -> Base:
    """The model to begin from; what stands against it is said below its field."""
    titles = {card.name: card.title for card in list_models() if card.kind in ("local", "hub")}
    linked = state.parameter("base") or "starter"
    options = [*dict.fromkeys([*titles, linked])]
    state.follow_link("train:base", linked)
    chosen = st.selectbox(
        "Base model",
        options,
        format_func=lambda name: titles.get(name, name),
        accept_new_options=True,
        key="train:base",
        help="Type a folder or a hub id such as org/name and press Enter to use another model.",
    )
    state.note_link("train:base", chosen)
    finetune_form.link("base", chosen, "starter")
    base = _look_up(str(chosen))
    if base.problem:
        finetune_form.say(base.problem)
    elif base.lacking:
        _say_lacking(base.lacking)
    return base


def check(base: Base, spec: TrainingSpec) -> None:
    """Raises UserError where the base cannot be looked at, or not be trained as `spec` says."""
    if base.problem:
        raise UserError(base.problem)
    check_base(spec)


def _look_up(name: str) -> Base:
    try:
        lacking = lacking_weights(name)
        problem = _ask_hub(lacking) if lacking else ""
        return Base(name, None if problem else count_parameters(name), lacking, problem)
    except UserError as error:
        return Base(name, problem=str(error))


@st.cache_data(ttl=REMEMBERED, show_spinner="Asking the hub")
def _ask_hub(hub_id: str) -> str:
    """Fetches tokenizer and settings of a hub model, to look at what it would read; why that failed, or ""."""
    try:
        open_folder(hub_id, weights=False)
    except UserError as error:
        return str(error)
    return ""


def _say_lacking(hub_id: str) -> None:
    told = f"The weights of {hub_id!r} are not on this machine, and a finetune does not fetch them. "
    if hub_id in RELEASED:
        finetune_form.say(f"{told}Fetch them first: Models says how large they are and asks.")
        st.page_link(
            state.PAGES.models,
            label="Fetch under Models",
            icon=":material/download:",
            query_params={"model": hub_id},
        )
    else:
        finetune_form.say(f"{told}Fetch them first: python -m socrates_core models fetch {hub_id}")
