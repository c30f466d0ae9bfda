"""What pages show, read from core and kept until the files behind it change."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.view.text import show_error
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.corpus.export import export_study
from socrates_core.corpus.hidden_answers import frozen_stamp
from socrates_core.corpus.scale_overrides import overrides_stamp
from socrates_core.corpus.splits_make import read_official
from socrates_core.corpus.store import corpora, open_corpus
from socrates_core.errors import UserError
from socrates_core.models.catalog import list_models
from socrates_core.personas import Person
from socrates_core.populations.bands import group
from socrates_core.populations.margins import Margins, margins_of
from socrates_core.populations.panel import PanelSpec, draw_panel, eligible
from socrates_core.records import DEMOGRAPHICS, Number, Scale
from socrates_core.studies.answers import Comparisons, Outline, compare_conditions, read_outline


def stamp(corpus: str) -> str:
    """Changes whenever the corpus is written anew, a scale is set by hand or a study is frozen or revealed."""
    found = open_corpus(corpus)
    written, by_hand = found.manifest.get("created", ""), overrides_stamp(found.path)
    return f"{written} {by_hand} {frozen_stamp(found.path)}".strip()


def catalogue() -> pd.DataFrame:
    """Every study of every corpus, a row each; empty before set-up. A damaged corpus is named and passed over."""
    frames = []
    for name in corpora():
        try:
            frames.append(_studies(name, stamp(name)))
        except UserError as error:
            show_error(error)
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def titles() -> dict[tuple[str, str], str]:
    """The title of every study by corpus and study_id."""
    studies = catalogue()
    if studies.empty:
        return {}
    return dict(zip(zip(studies["corpus"], studies["study_id"], strict=True), studies["title"], strict=True))


def study_archive(corpus: str, study_id: str, kind: str) -> bytes:
    """The study's data in one of the export's kinds and its codebook, zipped."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        export_study(open_corpus(corpus), study_id, kind, files / f"{study_id}.{kind}")
        return Path(shutil.make_archive(str(Path(folder) / study_id), "zip", files)).read_bytes()


@st.cache_data(show_spinner=False)
def _studies(corpus: str, stamp: str) -> pd.DataFrame:
    opened = open_corpus(corpus)
    studies = opened.studies()
    try:
        split = read_official(opened, "studies", name="official")
        sides = {study: "unseen" if study in split.held_out else "seen" for study in split.studies}
    except UserError:  # no published split came with this corpus
        sides = {}
    return studies.assign(corpus=corpus, split=[sides.get(study, "") for study in studies["study_id"]])


def corpora_of(studies: pd.DataFrame) -> list[str]:
    """The corpora that a catalogue's studies are from."""
    return sorted(studies["corpus"].unique())


@st.cache_data(show_spinner=False)
def study_outline(corpus: str, study_id: str, stamp: str) -> Outline:
    return read_outline(open_corpus(corpus), study_id)


@st.cache_data(show_spinner=False, max_entries=500)
def study_tallies(corpus: str, study_id: str, field: str | None, stamp: str) -> pd.DataFrame:
    """How many gave each answer (see Corpus.tallies), by the categories of a demographic field."""
    counts = open_corpus(corpus).tallies(study_id, field)
    return counts if field is None else counts.assign(group=group(counts["group"], field))


@st.cache_data(show_spinner=False)
def study_effects(corpus: str, study_id: str, reference: int, stamp: str) -> Comparisons:
    return compare_conditions(open_corpus(corpus), study_id, reference)


@st.cache_data(show_spinner=False)
def people_of(corpus: str, study_id: str, stamp: str) -> pd.DataFrame:
    return open_corpus(corpus).participants([study_id])


@st.cache_data(show_spinner=False)
def corpus_margins(corpus: str, study_id: str | None, stamp: str) -> Margins:
    """The shares of a study's people, or of everybody in the corpus."""
    return margins_of(open_corpus(corpus).participants(None if study_id is None else [study_id]))


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


def distribution_frame(tallies: pd.DataFrame, scale: Scale, panels: dict[Any, str], by: str) -> pd.DataFrame:
    """Shares of the answers on `scale`, a row a panel x value with 95% intervals, from columns `by`, value, n.

    `panels` names the values of `by` that are shown, in order. Of an open scale the middle 98% of the answers
    are shown, in at most 200 steps.
    """
    given = tallies.dropna(subset=["value"])
    values = list(scale.values)
    if not values and len(given):
        given, values = _middle(given)
    counts = given.groupby([by, "value"])["n"].sum()
    parts = []
    for panel, name in panels.items():
        own = counts[panel] if panel in counts.index.get_level_values(0) else {}
        told = np.array([float(own.get(value, 0)) for value in values])
        parts.append(share_rows(name, "people", scale, told, values))
    return pd.concat(parts, ignore_index=True) if parts and values else pd.DataFrame()


def _middle(given: pd.DataFrame) -> tuple[pd.DataFrame, list[Number]]:
    ordered = given.sort_values("value")
    place = ordered["n"].cumsum() / ordered["n"].sum()
    inside = ordered[(place >= 0.01) & (place - ordered["n"] / ordered["n"].sum() <= 0.99)]
    low, high = inside["value"].min(), inside["value"].max()
    if inside["value"].nunique() > 200:
        step = (high - low) / 200
        inside = inside.assign(value=(low + np.floor((inside["value"] - low) / step) * step).round(6))
    return inside, sorted(inside["value"].unique())


def share_rows(
    condition: str, who: str, scale: Scale, counts: np.ndarray, values: list[Number] | None = None
) -> pd.DataFrame:
    """One condition's counts [k] of the scale's values, or of `values`, as chart rows with Wilson intervals."""
    shares = shares_with_intervals(counts)
    return pd.DataFrame(
        {
            "condition": condition,
            "who": who,
            "value": values or list(scale.values),
            "share": shares.share,
            "low": shares.low,
            "high": shares.high,
            "n": shares.n,
        }
    )


def predicted_rows(condition: str, who: str, scale: Scale, shares: np.ndarray, n: int) -> pd.DataFrame:
    """One condition's predicted shares [k] as chart rows, without intervals."""
    return pd.DataFrame(
        {
            "condition": condition,
            "who": who,
            "value": list(scale.values),
            "share": shares,
            "low": np.nan,
            "high": np.nan,
            "n": n,
        }
    )


def in_one_unit(effects: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Effects of outcomes on one axis, with the unit they are then in.

    `effects` has columns difference, low, high (and the like, such as low_50) and span, the range of the outcome's
    scale. Scale points where all outcomes share one range; percentage points for yes or no; else shares of each
    scale's range, which an open outcome has not. Effects that are not known in that unit are left out.
    """
    spans = effects["span"].unique()
    if len(spans) == 1 and spans[0] != 1:
        return effects.dropna(subset=["difference"]), "scale points"
    columns = [name for name in map(str, effects) if name.split("_")[0] in ("difference", "low", "high")]
    scaled = effects.assign(**{name: 100 * effects[name] / effects["span"] for name in columns})
    return scaled.dropna(subset=["difference"]), "percentage points" if len(
        spans
    ) == 1 else "% of each scale's range"
