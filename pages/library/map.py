"""The topic map: studies and questions about the same topic are near each other, in two dimensions."""

import subprocess
from typing import Any

import pandas as pd
import streamlit as st

from pages.library import facets, topic_chart
from pages.view import cached, state
from pages.view.charts.show import show_figure, theme
from pages.view.fields.live import live
from pages.view.words import counted, escape
from socrates_core.corpus.topics import MOST_QUESTIONS, map_path, read_map, start_map
from socrates_core.errors import UserError

POINTS = {"study": "Studies", "question": "Questions"}


@st.cache_resource(show_spinner=False, max_entries=16)
def drawing(path: str, _corpora: list[str]) -> "subprocess.Popen[bytes]":
    """The process that draws a map, started once."""
    return start_map(_corpora)


def wait_for(path: str, *corpora: str) -> None:
    """Shows that the map is being drawn, until it is ready. An error is shown with a way to try again."""
    process = drawing(path, list(corpora))
    if read_map(corpora) is not None:
        st.rerun()
    if process.poll() is None:
        st.info(
            "The map is being drawn, once for these studies. That takes about half a minute for 210 studies; "
            "you can use other pages meanwhile.",
            icon=":material/hourglass_top:",
        )
        return
    errors = (
        (process.stderr.read() if process.stderr else b"").decode("utf-8", "replace").strip().splitlines()
    )
    st.error(escape(f"The map could not be drawn: {errors[-1] if errors else 'its process ended early'}."))
    if st.button("Try again", icon=":material/refresh:"):
        drawing.clear(path, list(corpora))
        st.rerun()


# Streamlit does not hash `_all` and `_studies`; `path` and `stamps` change with them.
@st.cache_data(show_spinner=False, max_entries=16)
def _points(
    path: str, stamps: list[str], kind: str, facet: str, _all: pd.DataFrame, _studies: pd.DataFrame
) -> pd.DataFrame:
    """The points of one kind, with the chart's columns of their studies. Size grows with the number of people."""
    columns = ["corpus", "study_id", "title", "n_participants", f"facet_{facet}"]
    points = _all[_all["kind"] == kind].merge(_studies[columns], on=["corpus", "study_id"])
    group = points[f"facet_{facet}"].map(lambda categories: " and ".join(categories[:2]) or "not known")
    size: Any = 6.0 if len(points) > 200 else 9.0
    if kind == "study":
        size = (6 + points["n_participants"] ** 0.5 / 5).clip(9, 22)
    return points.assign(
        group=group,
        place=points["corpus"] + "/" + points["study_id"],
        size=size,
        hover=[topic_chart.hover(*row) for row in zip(points["title"], points["label"], group, strict=True)],
    )


st.title("Topic map")
studies = facets.catalogue()
if studies.empty:
    st.info(
        "This page draws every study as a point, near others about the same. There are none yet: run "
        "`make setup`, then reload.",
        icon=":material/download:",
    )
    st.stop()
kept = facets.choose(studies, ordered=False)
left, middle, right = st.columns([2, 2, 3])
kind = left.segmented_control(
    "Points",
    list(POINTS),
    format_func=POINTS.__getitem__,
    default="study",
    required=True,
    key="points",
    bind="query-params",
)
facet = middle.selectbox(
    "Colour",
    list(facets.FACETS),
    format_func=lambda name: facets.FACETS[name][0],
    key="colour",
    bind="query-params",
)
known = cached.corpora_of(studies)
corpora = known
if len(known) > 1:
    corpora = right.multiselect("Corpora", known, default=known, key="corpora", bind="query-params") or known
try:
    points = read_map(corpora)
except UserError:
    map_path(corpora).unlink(missing_ok=True)
    points = None
if points is None:
    live(wait_for, "2s", str(map_path(corpora)), *corpora)
    st.stop()
path = str(map_path(corpora))
drawn = _points(path, facets.stamps(corpora), kind, facet, _all=points, _studies=studies)
wanted = {f"{corpus}/{study_id}" for corpus, study_id in zip(kept["corpus"], kept["study_id"], strict=True)}
drawn = drawn.assign(kept=drawn["place"].isin(wanted))
figure = topic_chart.topic_map(drawn, title="Studies by topic", theme=theme())
event = show_figure(figure, "topic_map")
picked = [point["customdata"][0] for point in event["selection"]["points"] if point.get("customdata")]
if picked:
    corpus, study_id = picked[0].split("/", 1)
    state.go_to(state.PAGES.study, corpus=corpus, study=study_id)
n = int(drawn["kept"].sum())
many = (
    f" At most {MOST_QUESTIONS:,} questions are drawn, the first of each study." if len(drawn) > 1000 else ""
)
st.caption(
    f"{counted(n, 'point')}.{many} Points are near each other where their texts use similar wording (TF-IDF, then "
    "t-SNE): neighbours mean something, distances across the map and the axes do not. Choose a point to open its study."
)
