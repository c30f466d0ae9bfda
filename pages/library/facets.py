"""Search, facets and order of the studies: widgets that live in the link, for the list and for the map."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from pages.view import data
from pages.view.text import counted, escape, shorten
from pages.view.widgets import linked_select
from socrates_core.corpus.search import search
from socrates_core.corpus.splits import sides_of_studies, splits_stamp
from socrates_core.errors import UserError
from socrates_core.projects import drafts
from socrates_core.surveys.start import near_draft

KINDS = {
    "range": "numbers",
    "enum_labels": "listed answers",
    "multiple": "multiples",
    "if_upto": "numbers",
    "open_integer": "open numbers",
}
FLAGS = {
    "off_scale": "answers off the scale",
    "unread_scale": "scale not read",
    "scale_differs": "scale differs",
    "shared_text": "treatment invisible",
    "battery": "battery",
    "repeats": "repeated questions",
    "ranking": "ranking",
    "own_texts": "own text for each person",
    "placeholder": "placeholders",
}
DESIGNS = {"between": "between people", "within": "within people", "mixed": "mixed"}
CONDITIONS = {1: "1", 2: "2", 4: "3 to 4", 8: "5 to 8", 10**9: "9 and more"}
PEOPLE = {
    499: "under 500",
    999: "500 to 999",
    1_999: "1,000 to 1,999",
    4_999: "2,000 to 4,999",
    10**9: "5,000 and more",
}
ORDERS = {
    "best match": ["score"],
    "title": ["title"],
    "most people": ["n_participants"],
    "most conditions": ["n_conditions"],
    "most outcomes": ["n_outcomes"],
    "most answers": ["n_responses"],
}


def _band(bands: Mapping[int, str], n: int) -> tuple[str, ...]:
    return (next(name for most, name in bands.items() if n <= most),)


def _notes(row: Mapping[Any, Any]) -> tuple[str, ...]:
    told = [FLAGS[flag] for flag in row["flags"] if flag in FLAGS]
    return (*(["any note"] if len(row["notes"]) else ["no note"]), *told)


# Each facet: its label, and the categories of a study's row.
FACETS: dict[str, tuple[str, Callable[[Mapping[Any, Any]], tuple[str, ...]]]] = {
    "topic": ("Topic", lambda row: (row["topic"] or "no topic",)),
    "design": ("Design", lambda row: (DESIGNS.get(row["design"], row["design"]),)),
    "scale": (
        "Answer scale",
        lambda row: tuple(sorted({KINDS.get(kind, kind) for kind in row["scale_kinds"]})),
    ),
    "conditions": ("Conditions", lambda row: _band(CONDITIONS, row["n_conditions"])),
    "people": ("People", lambda row: _band(PEOPLE, row["n_participants"])),
    "split": ("Split", lambda row: (*([row["split"]] if row["split"] else []), *row["sides"])),
    "notes": ("Notes", _notes),
    "in": ("Corpus", lambda row: (row["corpus"],)),  # the parameter "corpus" says which study is open
}
_ORDERED = {
    "conditions": list(CONDITIONS.values()),
    "people": list(PEOPLE.values()),
    "notes": ["any note", "no note"],
}


def catalogue() -> pd.DataFrame:
    """Every study of every corpus with a column `facet_...` of categories for each facet; empty before set-up."""
    studies = data.catalogue()
    return studies if studies.empty else _with_facets(studies, stamps(data.corpora_of(studies)))


def stamps(corpora: list[str]) -> list[str]:
    """Changes whenever a category of a study may: its corpus, a scale set by hand, a split."""
    return [*map(data.stamp, corpora), splits_stamp()]


@st.cache_data(show_spinner=False, max_entries=8)
def _with_facets(_studies: pd.DataFrame, stamps: list[str]) -> pd.DataFrame:
    sides = {corpus: sides_of_studies(corpus) for corpus in data.corpora_of(_studies)}
    rows = [
        {**row, "sides": sides[row["corpus"]].get(row["study_id"], ())} for row in _studies.to_dict("records")
    ]
    found = {f"facet_{name}": [categories(row) for row in rows] for name, (_, categories) in FACETS.items()}
    return _studies.assign(**{name: pd.Series(told, index=_studies.index) for name, told in found.items()})


def choices(studies: pd.DataFrame, facet: str) -> list[str]:
    """The categories that occur, in their own order."""
    known = {category for told in studies[f"facet_{facet}"] for category in told}
    first = [category for category in _ORDERED.get(facet, []) if category in known]
    return first + sorted(known - set(first))


def choose(studies: pd.DataFrame, *, ordered: bool = True) -> pd.DataFrame:
    """Draws search box, facets and, where `ordered`, order; the studies that pass all of them, in that order.

    With words, columns `score` and `passage` tell how well a study fits and where; with a draft to be near to,
    `score` is the likeness and `passage` the words in common.
    """
    box, order, button = st.columns([6, 2, 2] if ordered else [6, 0.01, 2], vertical_alignment="bottom")
    words = box.text_input(
        "Search",
        placeholder="words in titles, conditions and questions",
        key="q",
        bind="query-params",
        icon=":material/search:",
        live=True,
    )
    by = order.selectbox("Order", list(ORDERS), key="order", bind="query-params") if ordered else "best match"
    with button.popover("Filters", icon=":material/tune:", width="stretch"):
        picked = {name: _pick(studies, name) for name in FACETS if len(choices(studies, name)) > 1}
        near = _pick_draft()
    _tell({FACETS[name][0]: told for name, told in picked.items() if told}, near)
    found = _scored(studies, words, near)
    for name, told in picked.items():
        if told:
            wanted = set(told)
            found = found[[bool(wanted & set(each)) for each in found[f"facet_{name}"]]]
    column = ORDERS[by]
    found = found.sort_values([*column, "title"], ascending=[by == "title", True], kind="stable")
    return found.reset_index(drop=True)


def _pick(studies: pd.DataFrame, name: str) -> list[str]:
    return st.multiselect(
        FACETS[name][0], choices(studies, name), key=name, bind="query-params", placeholder="all"
    )


def _pick_draft() -> str | None:
    known = {str(row["draft_id"]): shorten(str(row["title"])) for row in drafts.list_drafts()}
    return linked_select("Near my draft", {"": "any study", **known}, "near", "drafts") if known else None


def _tell(picked: dict[str, list[str]], near: str | None) -> None:
    """The filters that are on, which the closed box would hide."""
    told = [f"{label}: {' or '.join(names)}" for label, names in picked.items()]
    if near:
        told.append(f"near the draft “{_title(near)}”")
    if told:
        st.caption(escape(" · ".join(told)))


def _title(draft_id: str) -> str:
    try:
        return drafts.open_draft(draft_id).title
    except UserError:
        return draft_id


def _scored(studies: pd.DataFrame, words: str, near: str | None) -> pd.DataFrame:
    """The studies that hold the words, or all of them, with `score` and `passage`."""
    told: dict[tuple[str, str], tuple[float, str]] = {}
    if words.strip():
        told = {
            (each.corpus, each.study_id): (each.score, f"{each.place}: {each.passage}")
            for each in search(words, data.corpora_of(studies))
        }
    if near:
        alike = {
            (each.corpus, each.study_id): (each.likeness, ", ".join(each.shared))
            for each in near_draft(drafts.open_draft(near), data.corpora_of(studies), len(studies))
        }
        told = alike if not words.strip() else {key: alike[key] for key in told if key in alike}
    keys = list(zip(studies["corpus"], studies["study_id"], strict=True))
    if not words.strip() and not near:
        return studies.assign(score=0.0, passage="")
    found = studies.assign(
        score=[told.get(key, (0.0, ""))[0] for key in keys],
        passage=[told.get(key, (0.0, ""))[1] for key in keys],
    )
    return found[[key in told for key in keys]]


def count_line(found: pd.DataFrame, studies: pd.DataFrame) -> str:
    people = int(found["n_participants"].sum())
    return f"{len(found)} of {counted(len(studies), 'study', 'studies')} · {people:,} people"
