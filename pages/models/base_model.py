"""The base model of a finetune, chosen or typed. The page shows why a base cannot be used, and fetches no weights."""

from dataclasses import dataclass

import streamlit as st

from pages.models import finetune_form
from pages.view import state
from pages.view.fields.link import linked, unless_usual
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
    """A base model and its number of parameters, None if that is unknown.

    `lacking` is the hub model whose weights it needs and this machine lacks; `problem` is why it cannot be read.
    Both are empty for a model that can be used.
    """

    name: str
    n_parameters: int | None = None
    lacking: str = ""
    problem: str = ""


def choose_base() -> Base:
    """Picks the base model and shows any reason why it cannot be used."""
    titles = {card.name: card.title for card in list_models() if card.kind in ("local", "hub")}
    base = state.parameter("base") or "starter"
    options = [*dict.fromkeys([*titles, base])]
    chosen = linked(
        lambda key: st.selectbox(
            "Base model",
            options,
            format_func=lambda name: titles.get(name, name),
            accept_new_options=True,
            key=key,
            help="Type a folder or a hub id such as org/name and press Enter to use another model.",
        ),
        "train:base",
        base,
        unless_usual("base", "starter"),
        forget=finetune_form.OF_RECIPE,
    )
    chosen_base = _look_up(str(chosen))
    if chosen_base.problem:
        finetune_form.say(chosen_base.problem)
    elif chosen_base.lacking:
        _say_lacking(chosen_base.lacking)
    return chosen_base


def check(base: Base, spec: TrainingSpec) -> None:
    """Raises UserError if the base cannot be read or cannot be trained as `spec` says."""
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
    """Fetches the tokenizer and settings of a hub model. Returns the reason if that failed, else ""."""
    try:
        open_folder(hub_id, weights=False)
    except UserError as error:
        return str(error)
    return ""


def _say_lacking(hub_id: str) -> None:
    problem = f"The weights of {hub_id!r} are not on this machine, and a finetune does not fetch them. "
    if hub_id in RELEASED:
        finetune_form.say(f"{problem}Fetch them first: Models says how large they are and asks.")
        st.page_link(
            state.PAGES.models,
            label="Fetch under Models",
            icon=":material/download:",
            query_params={"model": hub_id},
        )
    else:
        finetune_form.say(f"{problem}Fetch them first: python -m socrates_core models fetch {hub_id}")
