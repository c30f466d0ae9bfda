"""Badges that say whether a model was trained on what a page shows, with the reason as their help."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from pages.view import data
from pages.view.text import escape, shorten, visible
from socrates_core.corpus.queries import Corpus
from socrates_core.errors import UserError
from socrates_core.exposure.status import HEADLINE, ExposureVerdict, is_socsci210, status
from socrates_core.exposure.texts import DraftVerdict, cells_seen, draft_status
from socrates_core.models import is_stand_in
from socrates_core.models.catalog import list_models
from socrates_core.models.seen import Seen, seen_of
from socrates_core.projects.run_results import SimulationRun
from socrates_core.surveys.draft import Draft

LABELS = {
    "unseen": "unseen by",
    "seen": "seen in training by",
    "partly": "partly seen in training by",
    "unknown": "not known whether seen by",
}
COLOURS: dict[str, Any] = {"unseen": "green", "seen": "red", "partly": "orange", "unknown": "gray"}


def study_badges(corpus: Corpus, study_id: str) -> None:
    """What the models on this machine, and of SocSci210 the published ones, have seen of a study."""
    cards = [card for card in list_models() if card.kind == "local" or is_socsci210(corpus)]
    models = {card.name: card.title for card in cards if card.kind == "hub" or (card.installed and card.path)}
    _badges({models[name]: status(_seen(name), corpus, study_id) for name in models})


def draft_badges(draft: Draft, models: list[str]) -> None:
    """What the chosen models have seen of a draft's texts, with those that are nearly the same."""
    titles = data.model_titles()
    asked = [name for name in models if not is_stand_in(name)]
    told = {name: _draft_verdict(draft, name) for name in asked}
    _badges(
        {titles.get(name, name): ExposureVerdict(each.status, each.reason) for name, each in told.items()}
    )
    rows = [
        {**vars(near), "what": visible(near.what), "model": titles.get(name, name)}
        for name, each in told.items()
        for near in each.near
    ]
    if rows:
        st.caption("Texts of this draft that are nearly the same as one that a model was trained on:")
        st.dataframe(
            rows, hide_index=True, key="near_seen", column_order=["model", "what", "study_id", "likeness"]
        )


def run_badge(run: SimulationRun) -> None:
    """What the run's model has seen of what it was asked."""
    name = run.spec.model.name
    if not is_stand_in(name):
        told = _draft_verdict(run.spec.draft, name)
        _badges({run.model: ExposureVerdict(told.status, told.reason)})


def headline(run: SimulationRun, cells: pd.DataFrame) -> pd.DataFrame:
    """The rows of `cells_table` that may enter a score: those that the run's model has not seen in training."""
    seen = cells_seen(run.spec.draft, run.spec.shown, _seen(run.spec.model.name))
    keys = [(cell.condition, cell.outcome) for cell in run.cells]
    return cells[[seen.get(key, "unseen") in HEADLINE for key in keys]]


def _seen(name: str) -> Seen:
    """What a model saw; one whose card is damaged is told of as unknown."""
    try:
        return seen_of(name)
    except UserError as error:
        return Seen(note=str(error), known=False)


def _draft_verdict(draft: Draft, name: str) -> DraftVerdict:
    with st.spinner("Comparing with what the model was trained on"):
        return draft_status(draft, _seen(name))


def _badges(verdicts: Mapping[str, ExposureVerdict]) -> None:
    """One badge a status and reason, naming the models."""
    by_verdict: dict[ExposureVerdict, list[str]] = defaultdict(list)
    for title, verdict in verdicts.items():
        by_verdict[verdict].append(title)
    for verdict, titles in by_verdict.items():
        named = shorten(", ".join(titles), 80)
        st.badge(
            escape(f"{LABELS[verdict.status]} {named}"),
            color=COLOURS[verdict.status],
            icon=":material/visibility:",
            help=escape(verdict.reason),
        )
