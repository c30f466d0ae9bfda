"""Search, filters, and order of the studies, for the list and the map. All of them are in the link."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from pages.view import cached
from pages.view.fields.link import linked_select
from pages.view.words import counted, escape, shorten
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
    flags = [FLAGS[flag] for flag in row["flags"] if flag in FLAGS]
    return (*(["any note"] if len(row["notes"]) else ["no note"]), *flags)


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
    """Every study of every corpus, with a column `facet_...` of categories for each facet. Empty before setup."""
    studies = cached.catalogue()
    return studies if studies.empty else _with_facets(studies, stamps(cached.corpora_of(studies)))


def stamps(corpora: list[str]) -> list[str]:
    """Changes when a category of a study can change: with the corpus, a scale set by hand, or a split."""
    return [*map(cached.stamp, corpora), splits_stamp()]


# Streamlit does not hash `_studies`; `stamps` says when to work the categories out again.
@st.cache_data(show_spinner=False, max_entries=8)
def _with_facets(_studies: pd.DataFrame, stamps: list[str]) -> pd.DataFrame:
    sides = {corpus: sides_of_studies(corpus) for corpus in cached.corpora_of(_studies)}
    rows = [
        {**row, "sides": sides[row["corpus"]].get(row["study_id"], ())} for row in _studies.to_dict("records")
    ]
    columns = {f"facet_{name}": [categories(row) for row in rows] for name, (_, categories) in FACETS.items()}
    return _studies.assign(
        **{name: pd.Series(categories, index=_studies.index) for name, categories in columns.items()}
    )


def choices(studies: pd.DataFrame, facet: str) -> list[str]:
    """The categories that occur, in the facet's own order."""
    known = {category for categories in studies[f"facet_{facet}"] for category in categories}
    first = [category for category in _ORDERED.get(facet, []) if category in known]
    return first + sorted(known - set(first))


def choose(studies: pd.DataFrame, *, ordered: bool = True) -> pd.DataFrame:
    """Draws the search box, the filters and, if `ordered`, the order. Returns the studies that match, in that order.

    If none matches, a sentence says so and the nearest studies are returned, or all.

    For words, the columns `score` and `passage` hold how well a study matches and where. For a draft, `score` is the
    likeness and `passage` the words in common.
    """
    plans = {str(row["draft_id"]): shorten(str(row["title"])) for row in drafts.list_drafts()}
    widths = {"box": 6, "draft": 3 if plans else 0, "order": 2 if ordered else 0, "button": 2}
    shown = {name: width for name, width in widths.items() if width}
    columns = dict(zip(shown, st.columns(list(shown.values()), vertical_alignment="bottom"), strict=True))
    words = columns["box"].text_input(
        "Search",
        placeholder="an idea in your own words: does news framing change attitudes to migrants?",
        key="q",
        bind="query-params",
        icon=":material/search:",
        live=True,
    )
    near = _pick_draft(plans, columns["draft"]) if plans else None
    by = "best match"
    if ordered:
        by = columns["order"].selectbox("Order", list(ORDERS), key="order", bind="query-params")
    with columns["button"].popover("Filters", icon=":material/tune:", width="stretch"):
        picked = {name: _pick(studies, name) for name in FACETS if len(choices(studies, name)) > 1}
    active = {name: categories for name, categories in picked.items() if categories}
    _show_active({FACETS[name][0]: categories for name, categories in active.items()}, near)
    scored = _scored(studies, words, near)
    if scored.empty:
        st.info(
            "No study uses these words or words like them. These are all studies.",
            icon=":material/search_off:",
        )
        scored = studies.assign(score=0.0, passage="")
    matching = scored
    for name, wanted in active.items():
        matching = matching[
            [not set(wanted).isdisjoint(categories) for categories in matching[f"facet_{name}"]]
        ]
    if matching.empty:
        st.info(
            "No study passes these filters. The nearest studies without them:",
            icon=":material/filter_alt_off:",
        )
        matching = scored
    matching = matching.sort_values([*ORDERS[by], "title"], ascending=[by == "title", True], kind="stable")
    return matching.reset_index(drop=True)


def _pick(studies: pd.DataFrame, name: str) -> list[str]:
    return st.multiselect(
        FACETS[name][0], choices(studies, name), key=name, bind="query-params", placeholder="all"
    )


def _pick_draft(plans: Mapping[str, str], where: Any) -> str:
    return linked_select("Studies like my draft", {"": "any study", **plans}, "near", "drafts", where=where)


def _show_active(picked: dict[str, list[str]], near: str | None) -> None:
    """Names the active filters, which the closed box hides."""
    filters = [f"{label}: {' or '.join(names)}" for label, names in picked.items()]
    if near:
        filters.append(f"near the draft “{_title(near)}”")
    if filters:
        st.caption(escape(" · ".join(filters)))


def _title(draft_id: str) -> str:
    try:
        return drafts.open_draft(draft_id).title
    except UserError:
        return draft_id


def _scored(studies: pd.DataFrame, words: str, near: str | None) -> pd.DataFrame:
    """The studies that match the words or the draft, or all studies, with columns `score` and `passage`."""
    matches: dict[tuple[str, str], tuple[float, str]] = {}
    if words.strip():
        matches = {
            (match.corpus, match.study_id): (match.score, f"{match.place}: {match.passage}")
            for match in search(words, cached.corpora_of(studies))
        }
    if near:
        alike = {
            (match.corpus, match.study_id): (match.likeness, ", ".join(match.shared))
            for match in near_draft(drafts.open_draft(near), cached.corpora_of(studies), len(studies))
        }
        matches = alike if not words.strip() else {key: alike[key] for key in matches if key in alike}
    keys = list(zip(studies["corpus"], studies["study_id"], strict=True))
    if not words.strip() and not near:
        return studies.assign(score=0.0, passage="")
    scored = studies.assign(
        score=[matches.get(key, (0.0, ""))[0] for key in keys],
        passage=[matches.get(key, (0.0, ""))[1] for key in keys],
    )
    return scored[[key in matches for key in keys]]


def count_line(listed: pd.DataFrame, studies: pd.DataFrame) -> str:
    people = int(listed["n_participants"].sum())
    return f"{len(listed)} of {counted(len(studies), 'study', 'studies')} · {people:,} people"
