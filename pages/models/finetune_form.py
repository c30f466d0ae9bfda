"""The form of a finetune: method, rows, recipe, hyperparameters, name. All of it is in the link."""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, count
from typing import Annotated, Any, get_args

import streamlit as st
from pydantic import TypeAdapter, ValidationError

from pages.view import state
from pages.view.fields.link import linked, linked_select, unless_usual
from pages.view.words import escape
from socrates_core.errors import UserError
from socrates_core.finetuning.growing_shares import check_names
from socrates_core.finetuning.rationales import OWN, rationale_names
from socrates_core.finetuning.recipes import Recipe, recipes_for
from socrates_core.finetuning.spec import METHODS, TITLES, Method, TrainingSpec, default_of, spec_from_dict
from socrates_core.prompts import TEMPLATES

WHY: Mapping[Method, str] = {
    "sft": "The prompt, then the answer that this person gave. SocSci210’s authors advise it for distributions.",
    "reasoning": "A rationale is written before the answer. Published gains are inside known studies alone.",
    "dpo": "This person's answer against one that somebody else gave in the same cell. SocSci210’s authors "
    "advise it for individuals.",
    "distribution": "All answers of a cell with their shares, over the whole vocabulary and the end of the turn; on "
    "the answer tokens alone the model would collapse.",
}
ROWS = ("per_cell", "per_study", "validation_share", "seed")
PLAN = ("evaluate_every", "patience")
VISIBLE = {
    "tuning": "{}",
    "learning_rate": "learning rate {}",
    "batch_size": "{} examples a step",
    "epochs": "epochs: {}",
    "max_steps": "at most {} steps",
}
OF_METHOD: Mapping[Method, tuple[str, ...]] = {
    "sft": (),
    "reasoning": ("rationales",),
    "dpo": ("beta",),
    "distribution": ("rps_weight", "shrinkage"),
}
EXPERT = (
    "tuning",
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
    "people_share",
    "balance",
    "validation_cap",
    "template",
    "precision",
    "micro_tokens",
    "checkpointing",
    "share_people",
)
# What the link says of one recipe alone; a change of base model, method or recipe removes it.
OF_RECIPE = ("per_cell", *PLAN, *EXPERT, *chain.from_iterable(OF_METHOD.values()))
FIELDS = {
    "name": (
        "Name of the model it makes",
        "Lower-case letters, digits, dots, dashes and underscores, at most 64.",
    ),
    "per_cell": (
        "People a cell, at most",
        "A cell is one outcome in one condition; a small sample is enough.",
    ),
    "per_study": ("Rows a study, at most", "Empty: no limit."),
    "validation_share": (
        "Share for validation",
        "Kept back from training, by what the split holds out by: it chooses the checkpoint.",
    ),
    "seed": ("Seed", "Which people are drawn, what is kept back, and the order of the rows."),
    "evaluate_every": (
        "Steps between validations",
        "Each measures the model on the rows that were kept back.",
    ),
    "patience": (
        "Patience",
        "It stops after so many validations without gain; the best checkpoint so far is kept.",
    ),
    "accept_leaks": ("Why the leak is accepted", "The card of the model that comes out will repeat it."),
    "rationales": ("Rationales", "corpus: the data's own; or the name of rationales that a model wrote."),
    "beta": ("Beta", "How strongly DPO holds the model to its start."),
    "rps_weight": ("Weight of the ranked-probability term", "0: soft cross-entropy alone."),
    "shrinkage": (
        "Answers borrowed from other conditions",
        "So many answers to the same outcome in any condition are added to a cell's own.",
    ),
    "tuning": ("What is tuned", "lora: an adapter; qlora: over the base in 4-bit NF4; full: every weight."),
    "rank": ("LoRA rank", ""),
    "alpha": ("LoRA alpha", ""),
    "dropout": ("LoRA dropout", ""),
    "learning_rate": ("Learning rate", "The highest, after the warm-up."),
    "schedule": ("Schedule", ""),
    "warmup": ("Warm-up", "Share of the steps."),
    "weight_decay": ("Weight decay", ""),
    "clip": ("Longest gradient", "Longer ones are cut to this norm."),
    "batch_size": ("Examples a step", ""),
    "epochs": ("Epochs", "How often each row is read; may be less than 1."),
    "max_steps": ("Steps, at most", "Empty: no limit."),
    "people_share": ("Share of the people", "Of every study; 1 takes all. For learning curves."),
    "balance": ("What counts alike", "Rows, cells or studies, however many answers each has."),
    "validation_cap": ("Validation people a cell", "At most so many are asked in each validation."),
    "template": ("Prompt template", ""),
    "precision": ("Precision", "auto: bf16 where the processor has it."),
    "micro_tokens": ("Tokens read at a time", "Fewer take less memory; the result is the same."),
    "checkpointing": ("Gradient checkpointing", "Less memory, more time; the result is the same."),
    "share_people": ("Read profiles once", "One person's, for all of the answers in a step."),
}


def choose_method() -> Method:
    named = state.parameter("method")
    value: Method = next((method for method in METHODS if method == named), "sft")
    chosen: Method = linked(
        lambda key: (
            st.segmented_control("Method", METHODS, required=True, format_func=TITLES.__getitem__, key=key)
            or "sft"
        ),
        "train:method",
        value,
        unless_usual("method", "sft"),
        forget=OF_RECIPE,
    )
    st.caption(WHY[chosen])
    return chosen


def choose_settings(base: str, size: int | None, method: Method, *, rows: Any) -> dict[str, Any]:
    """The recipe and the fields that it sets a default for. The fields of the rows are drawn into `rows`."""
    recipe = _choose_recipe(base, size, method)
    scope = f"{base}:{method}:{recipe.name}"
    values = fields(ROWS, recipe.settings, scope, where=rows)
    summary = st.container()
    with st.expander("Expert settings", icon=":material/tune:"):
        values |= fields([*OF_METHOD[method], *EXPERT], recipe.settings, scope)
    held = {name: _as_text(values[name]) for name in VISIBLE}
    summary.caption(escape(" · ".join(VISIBLE[name].format(value) for name, value in held.items() if value)))
    st.markdown("**Evaluation plan**")
    st.caption(
        "On the rows kept back, before the first step and then at intervals: W beside the uniform row’s, accuracy, "
        "effect r and valid mass. The checkpoint with the lowest W that still answers is kept."
    )
    return values | fields(PLAN, recipe.settings, scope)


def _choose_recipe(base: str, size: int | None, method: Method) -> Recipe:
    """Published settings, or the project's own. They are the defaults of the fields."""
    recipes = {recipe.name: recipe for recipe in recipes_for(size, method)}
    titles = {name: recipe.title for name, recipe in recipes.items()}
    chosen = linked_select("Recipe", titles, "recipe", f"{base}:{method}", forget=OF_RECIPE)
    st.caption(escape(recipes[chosen].source))
    return recipes[chosen]


def fields(
    names: Iterable[str], defaults: Mapping[str, Any], scope: str, *, where: Any = st
) -> dict[str, Any]:
    """The fields in rows of four. Each starts as its default, which the link leaves out.

    A value that the spec refuses is returned as it was typed, with the reason next to its field.
    """
    wanted = list(names)
    values = dict[str, Any]()
    for start in range(0, len(wanted), 4):
        for name, column in zip(wanted[start : start + 4], where.columns(4), strict=False):
            values[name] = field(name, _usual(name, defaults, values), scope, where=column)
    return values


def field(name: str, default: Any, scope: str, *, where: Any = st) -> Any:
    """One field of the spec; see `fields`."""
    (label, note) = FIELDS[name]
    info = TrainingSpec.model_fields[name]
    usual = _as_text(default)
    named = state.parameter(name)
    held: Any = usual if named is None else named
    key = f"train:{name}:{scope}"
    settings = {"help": note or None}
    draw = partial(where.text_input, placeholder="no limit" if default is None else None)
    if choices := _choices(name):
        held = held if held in choices else usual
        draw = partial(where.selectbox, options=choices)
    elif info.annotation is bool:
        # A toggle keeps its state by its key, so one whose default changes with the tuning needs another key.
        key = f"{key}:{usual}"
        held = held == "true"
        draw = partial(where.toggle, wrap=True)
    leave_out = unless_usual(name, usual)
    chosen = linked(
        lambda key: draw(label, key=key, **settings),
        key,
        held,
        lambda value: leave_out(_as_text(value).strip()),
    )
    text = _as_text(chosen).strip()
    value = None if default is None and not text else text
    wrong = problem(name, value)
    if wrong:
        say(wrong, where)
    return value


def problem(name: str, value: Any) -> str | None:
    """Why the spec refuses this value of a field, as a sentence; None if it does not."""
    info = TrainingSpec.model_fields[name]
    try:
        TypeAdapter(Annotated[info.annotation, info]).validate_python(value)  # type: ignore[arg-type]
    except ValidationError as error:
        label, note = FIELDS[name]
        first = error.errors()[0]
        return f"{label} is {value!r}. {note if 'pattern' in first['type'] else first['msg'] + '.'}"
    return None


def _choices(name: str) -> list[str]:
    """The values that the field allows, if there are only a few."""
    listed = {"template": list(TEMPLATES), "rationales": [OWN, *rationale_names()]}
    options = get_args(TrainingSpec.model_fields[name].annotation)
    return listed.get(name) or [option for option in options if isinstance(option, str)]


def checked(values: Mapping[str, Any]) -> TrainingSpec:
    """The spec in the form. Raises UserError if a field is wrong or two fields do not fit together."""
    if any(problem(name, value) for name, value in values.items() if name in FIELDS):
        raise UserError("It can start once what is marked in red above is mended.")
    return spec_from_dict(values, "These settings do not go together")


def free_name(base: str, method: str, split: str, shares: Sequence[float] = ()) -> str:
    """A name that is free for a model and for all finetunes of its curve over `shares`."""
    whole = re.sub(r"[^a-z0-9._-]+", "-", f"{base.rstrip('/').rpartition('/')[2]}-{method}-{split}".lower())
    name = whole.strip("._-")[:58].rstrip("._-") or method
    return next(
        candidate
        for candidate in chain([name], (f"{name}-{n}" for n in count(2)))
        if is_free(candidate, shares)
    )


def is_free(name: str, shares: Sequence[float] = ()) -> bool:
    """Whether the name is free for a finetune, or for all finetunes of its curve over `shares`."""
    try:
        check_names(name, shares)
    except UserError:
        return False
    return True


def say(sentence: str, where: Any = st) -> None:
    """Why the finetune cannot start, in red next to its field."""
    where.markdown(f":red[:material/error: {escape(sentence)}]")


def _usual(name: str, settings: Mapping[str, Any], chosen: Mapping[str, Any]) -> Any:
    """The default of a field: from the recipe's `settings`, else from the spec, given what was `chosen` before."""
    return settings[name] if name in settings else default_of(name, chosen.get("tuning"))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
