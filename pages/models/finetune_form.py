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
from socrates_core.finetuning.estimate import settings_that_fit
from socrates_core.finetuning.learning_curve import check_names
from socrates_core.finetuning.rationales import OWN, rationale_names
from socrates_core.finetuning.recipes import SMALL, Recipe, recipes_for
from socrates_core.finetuning.spec import (
    METHODS,
    TITLES,
    Method,
    TrainingSpec,
    default_of,
    fields_of,
    spec_from_dict,
)
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
# What the link says of one recipe alone; a change of base model, method or recipe removes it.
OF_RECIPE = ("per_cell", *PLAN, *fields_of("expert"))


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
    """The recipe and every field that it gives a default to; the fields of the rows are drawn into `rows`."""
    recipe = _choose_recipe(base, size, method)
    scope = f"{base}:{method}:{recipe.name}"
    defaults = {**recipe.settings, **_that_fit(base, size, recipe)}
    values = fields(ROWS, defaults, scope, where=rows)
    summary = st.container()
    with st.expander("Expert settings", icon=":material/tune:"):
        values |= fields(fields_of("expert", method), defaults, scope)
    texts = {name: _as_text(values[name]) for name in VISIBLE}
    summary.caption(escape(" · ".join(VISIBLE[name].format(text) for name, text in texts.items() if text)))
    st.markdown("**Evaluation plan**")
    st.caption(
        "On the rows kept back, before the first step and then at intervals: W next to the uniform row’s, accuracy, "
        "effect r and valid mass. The checkpoint with the lowest W that still answers is kept."
    )
    return values | fields(PLAN, defaults, scope)


def _that_fit(base: str, size: int | None, recipe: Recipe) -> dict[str, Any]:
    """What a large model's memory decides: checkpointing and tokens at a time, so that the finetune fits here."""
    if size is None or size < SMALL:
        return {}
    try:
        return settings_that_fit(base, recipe.settings)
    except UserError:  # shown where the base is chosen
        return {}


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
    """Draws the fields in rows of four; each starts with its default, which the link leaves out.

    A value that the spec refuses is reported below its field and returned as it was typed.
    """
    listed = list(names)
    values: dict[str, Any] = {}
    for start in range(0, len(listed), 4):
        for name, column in zip(listed[start : start + 4], where.columns(4), strict=False):
            default = defaults[name] if name in defaults else default_of(name, values.get("tuning"))
            values[name] = field(name, default, scope, where=column)
    return values


def field(name: str, default: Any, scope: str, *, where: Any = st) -> Any:
    """One field of the spec, as in `fields`."""
    info = TrainingSpec.model_fields[name]
    label = info.title or name
    usual = _as_text(default)
    named = state.parameter(name)
    held: Any = usual if named is None else named
    key = f"train:{name}:{scope}"
    settings = {"help": info.description or None}
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
    """Why the spec refuses this value of the field, in a sentence; None if it accepts it."""
    info = TrainingSpec.model_fields[name]
    try:
        TypeAdapter(Annotated[info.annotation, info]).validate_python(value)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        reason = info.description if "pattern" in first["type"] else f"{first['msg']}."
        return f"{info.title} is {value!r}. {reason}"
    return None


def _choices(name: str) -> list[str]:
    """The values that the field can take if they are few, else none."""
    listed = {"template": list(TEMPLATES), "rationales": [OWN, *rationale_names()]}
    literals = get_args(TrainingSpec.model_fields[name].annotation)
    return listed.get(name) or [value for value in literals if isinstance(value, str)]


def checked(values: Mapping[str, Any]) -> TrainingSpec:
    """The spec that the form holds. Raises UserError if a field is wrong, or two do not go together."""
    if any(problem(name, value) for name, value in values.items()):
        raise UserError("It can start once what is marked in red above is corrected.")
    return spec_from_dict(values, "These settings do not go together")


def free_name(base: str, method: str, split: str, shares: Sequence[float] = ()) -> str:
    """A name that is free for the model, and free for every finetune of its curve over `shares`."""
    whole = re.sub(r"[^a-z0-9._-]+", "-", f"{base.rstrip('/').rpartition('/')[2]}-{method}-{split}".lower())
    name = whole.strip("._-")[:58].rstrip("._-") or method
    candidates = chain([name], (f"{name}-{n}" for n in count(2)))
    return next(candidate for candidate in candidates if is_free(candidate, shares))


def is_free(name: str, shares: Sequence[float] = ()) -> bool:
    """Whether no model has this name, or one of the names of its curve over `shares`."""
    try:
        check_names(name, shares)
    except UserError:
        return False
    return True


def say(sentence: str, where: Any = st) -> None:
    """Shows what prevents the start, in red below its field."""
    where.markdown(f":red[:material/error: {escape(sentence)}]")


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
