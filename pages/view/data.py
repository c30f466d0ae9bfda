"""What pages show, read from core and kept until the files behind it change."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.view.text import show_error
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.corpus.store import corpora, open_corpus
from socrates_core.drafts.spec import PanelSpec
from socrates_core.errors import UserError
from socrates_core.panels import Person, draw_panel, eligible
from socrates_core.records import DEMOGRAPHICS, Scale
from socrates_core.responders.catalog import list_models
from socrates_core.studies import HumanEffect, cells, human_effects


def stamp(corpus: str) -> str:
    """Changes whenever the corpus is written anew."""
    return str(open_corpus(corpus).manifest.get("created", ""))


def catalogue() -> pd.DataFrame:
    """Every study of every corpus, a row each; empty before set-up. A damaged corpus is named and passed over."""
    frames = []
    for name in corpora():
        try:
            frames.append(_studies(name, stamp(name)))
        except UserError as error:
            show_error(error)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


@st.cache_data(show_spinner=False)
def _studies(corpus: str, stamp: str) -> pd.DataFrame:
    return open_corpus(corpus).studies().assign(corpus=corpus)


@st.cache_data(show_spinner=False)
def study_cells(corpus: str, study_id: str, stamp: str) -> list[dict[str, Any]]:
    return cells(open_corpus(corpus), study_id)


@st.cache_data(show_spinner=False)
def study_effects(corpus: str, study_id: str, reference: int, stamp: str) -> list[HumanEffect]:
    return human_effects(open_corpus(corpus), study_id, reference)


@st.cache_data(show_spinner=False)
def people_of(corpus: str, study_id: str, stamp: str) -> pd.DataFrame:
    return open_corpus(corpus).participants([study_id])


@st.cache_data(show_spinner=False)
def demographic_values(corpus: str, studies: tuple[str, ...], stamp: str) -> dict[str, list[Any]]:
    """The values that occur in each demographic field, the most frequent first."""
    people = open_corpus(corpus).participants(studies or None)
    found = {field: people[field].dropna().value_counts().index.tolist() for field in DEMOGRAPHICS}
    return {field: values for field, values in found.items() if values}


def count_eligible(panel: PanelSpec) -> int:
    """How many participants a sampled panel can be drawn from."""
    return _count_eligible(panel.model_dump_json(exclude={"n", "seed"}), stamp(panel.corpus))


@st.cache_data(show_spinner=False)
def _count_eligible(panel: str, stamp: str) -> int:
    return len(eligible(PanelSpec.model_validate_json(panel)))


def panel_of(panel: PanelSpec) -> list[Person]:
    """The panel's people. Raises UserError where they cannot be drawn."""
    return _panel_of(panel.model_dump_json(), stamp(panel.corpus) if panel.kind == "sample" else "")


@st.cache_data(show_spinner=False, max_entries=8)
def _panel_of(panel: str, stamp: str) -> list[Person]:
    return draw_panel(PanelSpec.model_validate_json(panel))


def model_titles() -> dict[str, str]:
    """The models on this machine, by name, with a title to choose from."""
    return {card.name: card.title for card in list_models() if card.installed}


def distribution_frame(rows: list[dict[str, Any]], scale: Scale) -> pd.DataFrame:
    """People's answers of one outcome: a row a condition x value, with 95% intervals of the shares."""
    parts = []
    for row in rows:
        counts = np.array([row["counts"].get(f"{value:g}", 0) for value in scale.values], dtype=float)
        parts.append(share_rows(row["condition"], "people", scale, counts))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def share_rows(condition: str, who: str, scale: Scale, counts: np.ndarray) -> pd.DataFrame:
    """One condition's counts [k] as chart rows with Wilson intervals."""
    shares = shares_with_intervals(counts)
    return pd.DataFrame(
        {
            "condition": condition, "who": who, "value": list(scale.values), "share": shares.share,
            "low": shares.low, "high": shares.high, "n": shares.n,
        }
    )  # fmt: skip


def predicted_rows(condition: str, who: str, scale: Scale, shares: np.ndarray, n: int) -> pd.DataFrame:
    """One condition's predicted shares [k] as chart rows, without intervals."""
    return pd.DataFrame(
        {
            "condition": condition, "who": who, "value": list(scale.values), "share": shares,
            "low": np.nan, "high": np.nan, "n": n,
        }
    )  # fmt: skip


def in_one_unit(effects: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Effects of outcomes on one axis, with the unit they are then in.

    `effects` has columns difference, low, high and span (the range of the outcome's scale). Scale points where
    all outcomes share one range; percentage points for yes or no; else shares of each scale's range.
    """
    spans = effects["span"].unique()
    if len(spans) == 1 and spans[0] != 1:
        return effects, "scale points"
    columns = ["difference", "low", "high"]
    scaled = effects.assign(**{name: 100 * effects[name] / effects["span"] for name in columns})
    return scaled, "percentage points" if len(spans) == 1 else "% of each scale's range"
