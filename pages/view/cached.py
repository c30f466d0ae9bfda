"""What pages show, read from core and cached until the files behind it change."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from pages.view.words import show_error
from socrates_core.analysis.intervals import SampleSize
from socrates_core.corpus.export import export_study
from socrates_core.corpus.hidden_answers import frozen_stamp
from socrates_core.corpus.scale_overrides import overrides_stamp
from socrates_core.corpus.splits_make import read_official
from socrates_core.corpus.store import corpora, open_corpus
from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.models.catalog import list_models
from socrates_core.personas import Person
from socrates_core.populations.bands import group
from socrates_core.populations.margins import Margins, margins_of
from socrates_core.populations.panel import PanelSpec, draw_panel, eligible, profiles_sentence
from socrates_core.populations.remarks import describe_population
from socrates_core.records import DEMOGRAPHICS
from socrates_core.studies.answers import Comparisons, Outline, compare_conditions, read_outline
from socrates_core.studies.assignment import design_sentence as sentence_of
from socrates_core.studies.assignment import read_assignment
from socrates_core.studies.overview import StudyOverview, read_overview


def stamp(corpus: str) -> str:
    """Changes when the corpus is written again, a scale is set by hand, or a study is hidden or revealed."""
    opened = open_corpus(corpus)
    # The time alone is not enough: a corpus can be written twice within its second.
    written = f"{opened.manifest.get('created', '')} {digest(opened.manifest['sha256'])[:16]}"
    by_hand = overrides_stamp(opened.path)
    return f"{written} {by_hand} {frozen_stamp(opened.path)}".strip()


def catalogue() -> pd.DataFrame:
    """Every study of every corpus, one row each; empty before setup. A damaged corpus is reported and left out."""
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
    """The study's data in the export format `kind`, with its codebook, as a zip file."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "files"
        files.mkdir()
        export_study(open_corpus(corpus), study_id, kind, files / f"{study_id}.{kind}")
        return Path(shutil.make_archive(str(Path(folder) / study_id), "zip", files)).read_bytes()


# In all of these `stamp` is only there to be hashed: another stamp reads the files again.
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
    """The corpora in a catalogue."""
    return sorted(studies["corpus"].unique())


@st.cache_data(show_spinner=False)
def study_outline(corpus: str, study_id: str, stamp: str) -> Outline:
    return read_outline(open_corpus(corpus), study_id)


@st.cache_data(show_spinner=False, max_entries=500)
def study_tallies(corpus: str, study_id: str, field: str | None, stamp: str) -> pd.DataFrame:
    """The number of times each answer was given (see Corpus.tallies), by the categories of a demographic field."""
    counts = open_corpus(corpus).tallies(study_id, field)
    return counts if field is None else counts.assign(group=group(counts["group"], field))


@st.cache_data(show_spinner=False, max_entries=500)
def share_sizes(
    corpus: str, study_id: str, field: str | None, condition: int | None, stamp: str
) -> dict[tuple[int, str, str, Any], SampleSize]:
    """The sizes of the panels of `study_tallies` by task_num, part, scale, and panel, where answers are not people.

    A panel is a condition, or with a demographic `field` one of its categories, in one `condition` or in all.
    """
    opened = open_corpus(corpus)
    assignment = read_assignment(opened, study_id)
    one_condition = field is None or condition is not None
    if assignment.design.is_plain and not opened.answered_repeatedly(study_id, within_cells=one_condition):
        return {}
    given = opened.answers_by_person(study_id, field)
    if condition is not None:
        given = given[given["condition_num"] == condition]
    if field is not None:
        given = given.assign(group=group(given["group"], field))
    return assignment.share_sizes(
        given, ["task_num", "part", "scale", "condition_num" if field is None else "group"]
    )


@st.cache_data(show_spinner=False)
def design_sentence(corpus: str, study_id: str, stamp: str) -> str:
    return sentence_of(open_corpus(corpus), study_id)


@st.cache_data(show_spinner=False)
def study_effects(corpus: str, study_id: str, reference: int, stamp: str) -> Comparisons:
    return compare_conditions(open_corpus(corpus), study_id, reference)


@st.cache_data(show_spinner=False)
def study_in_a_sentence(corpus: str, study_id: str, stamp: str) -> StudyOverview:
    return read_overview(open_corpus(corpus), study_id)


@st.cache_data(show_spinner=False)
def people_of(corpus: str, study_id: str, stamp: str) -> pd.DataFrame:
    return open_corpus(corpus).participants([study_id])


@st.cache_data(show_spinner=False)
def corpus_margins(corpus: str, study_id: str | None, stamp: str) -> Margins:
    """The demographic shares of a study's people, or of everybody in the corpus."""
    return margins_of(open_corpus(corpus).participants(None if study_id is None else [study_id]))


@st.cache_data(show_spinner=False)
def demographic_values(corpus: str, studies: tuple[str, ...], stamp: str) -> dict[str, list[Any]]:
    """The values of each demographic field, the most frequent first."""
    people = open_corpus(corpus).participants(studies or None)
    known = {field: people[field].dropna().value_counts().index.tolist() for field in DEMOGRAPHICS}
    return {field: values for field, values in known.items() if values}


def count_eligible(panel: PanelSpec) -> int:
    """How many participants a sampled panel can be drawn from."""
    # The count does not depend on n and seed, so that changing them costs nothing.
    return _count_eligible(panel.model_dump_json(exclude={"n", "seed"}), stamp(panel.corpus))


@st.cache_data(show_spinner=False)
def _count_eligible(panel: str, stamp: str) -> int:
    return len(eligible(PanelSpec.model_validate_json(panel)))


def panel_of(panel: PanelSpec) -> list[Person]:
    """The people of a panel. Raises UserError if they cannot be drawn."""
    return _panel_of(panel.model_dump_json(), stamp(panel.corpus) if panel.kind == "sample" else "")


@st.cache_data(show_spinner=False, max_entries=8)
def _panel_of(panel: str, stamp: str) -> list[Person]:
    return draw_panel(PanelSpec.model_validate_json(panel))


def population_of(panel: PanelSpec) -> dict[str, Any]:
    """A panel's population in words and shares. Raises UserError if its people cannot be drawn."""
    return _population_of(panel.model_dump_json(), stamp(panel.corpus) if panel.kind == "sample" else "")


@st.cache_data(show_spinner=False, max_entries=8)
def _population_of(panel: str, stamp: str) -> dict[str, Any]:
    spec = PanelSpec.model_validate_json(panel)
    people = draw_panel(spec)
    pool = eligible(spec) if spec.kind == "sample" else None
    return {"sentence": profiles_sentence(people), **describe_population(spec, people, pool)}


def model_titles() -> dict[str, str]:
    """The title of each model on this machine, by name."""
    return {card.name: card.title for card in list_models() if card.installed}
