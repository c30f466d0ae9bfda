"""The topic map: what is near what, how many points, when it is drawn anew, what the page shows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from pages.library import topic_chart
from socrates_core.corpus import topics
from socrates_core.corpus.topics import layout, make_map, map_path, read_map, start_map
from socrates_core.errors import UserError
from tests.support.pages import fine, open_page
from tests.support.small_corpora import small_corpus, two_arms
from tests.support.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.usefixtures("no_worker")

MAP = "pages/library/map.py"
TOPICS = ("river fish water swim boat", "court judge law trial jury", "bread cake oven flour sugar")


def texts() -> list[str]:
    """Ten texts on each of three topics."""
    drawn = np.random.default_rng(0)
    return [" ".join(drawn.choice(topic.split(), 12)) for topic in TOPICS for _ in range(10)]


def test_texts_about_the_same_lie_together() -> None:
    places = layout(texts())
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    assert (apart.argmin(axis=1) // 10 == np.arange(30) // 10).mean() > 0.9
    assert np.abs(places).max() == pytest.approx(1)


def test_the_same_texts_lie_in_the_same_places() -> None:
    np.testing.assert_array_equal(layout(texts()), layout(texts()))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5])
def test_a_few_texts_have_places_too(n: int) -> None:
    assert layout(texts()[:n]).shape == (n, 2) and np.isfinite(layout(texts()[:n])).all()


@pytest.mark.parametrize("text", ["", "the of and", "1 2 3", "same words here"])
def test_texts_that_say_nothing_or_the_same_have_places(text: str) -> None:
    assert np.isfinite(layout([text] * 6)).all()


def test_a_map_is_drawn_once_for_each_content(home: Path) -> None:
    small_corpus("mine", two_arms())
    assert read_map(["mine"]) is None
    written = make_map(["mine"]).stat().st_mtime_ns
    assert make_map(["mine"]).stat().st_mtime_ns == written
    points = read_map(["mine"])
    assert points is not None and points["kind"].tolist() == ["study", "question"]
    small_corpus("mine", two_arms(), title="Another")
    assert read_map(["mine"]) is None


def test_corpora_are_drawn_together_whatever_their_order(home: Path) -> None:
    small_corpus("one", two_arms())
    small_corpus("two", two_arms())
    assert map_path(["one", "two"]) == map_path(["two", "one"]) != map_path(["one"])
    make_map(["two", "one"])
    points = read_map(["one", "two"])
    assert points is not None and set(points["corpus"]) == {"one", "two"}


def test_no_corpora_are_a_sentence(home: Path) -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        make_map([])


def test_the_first_questions_of_each_study_share_the_room() -> None:
    assert topics._share([100, 2, 50], 60) == 29
    assert topics._share([3, 2], 2000) == 3 and topics._share([], 5) == 0 and topics._share([1] * 9, 5) == 1


def test_a_process_of_its_own_draws_the_map(home: Path) -> None:
    small_corpus("mine", two_arms())
    assert start_map(["mine"]).wait(PATIENCE) == 0 and read_map(["mine"]) is not None
    failed = start_map(["nope"])
    assert (
        failed.wait(PATIENCE) != 0
        and failed.stderr is not None
        and b"no corpus 'nope'" in failed.stderr.read()
    )


def shown(app: AppTest) -> dict[str, int]:
    """The legend of the page's map with its numbers of points."""
    import json

    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    return {trace["name"]: len(trace["customdata"]) for trace in figure["data"] if "customdata" in trace}


def test_the_page_draws_the_map_and_fades_what_does_not_match(starter_home: Path) -> None:
    app = open_page(MAP)
    assert "being drawn" in fine(app)
    wait_until(lambda: read_map(["starter"]) is not None)
    legend = shown(open_page(MAP))
    assert sum(legend.values()) == 13 and "Politics (3)" in legend
    assert shown(open_page(MAP, q="park")) == {"Environment (2)": 2}
    assert list(shown(open_page(MAP, points="Questions", colour="Corpus"))) == ["starter (23)"]


def test_many_points_are_labelled_by_their_groups_and_few_one_by_one() -> None:
    n = topic_chart.MOST_LABELS + 1
    angle = np.linspace(0, 2 * np.pi, n)
    points = pd.DataFrame(
        {
            "x": np.cos(angle),
            "y": np.sin(angle),
            "kind": "study",
            "title": [f"Study {at}" for at in range(n)],
            "group": ["Health and medicine" if at % 2 else "Education" for at in range(n)],
            "corpus": "mine",
            "kept": True,
            "size": 9.0,
            "hover": "",
            "place": "mine/one",
        }
    )
    many = topic_chart.topic_map(points, title="Studies", theme="light")
    assert {note.text for note in many.layout.annotations} == {
        "<b>Health and medicine</b>",
        "<b>Education</b>",
    }
    few = topic_chart.topic_map(points.head(9), title="Studies", theme="light")
    assert not few.layout.annotations and any("Study 0" in list(trace.text) for trace in few.data)


@pytest.mark.parametrize("seed", range(5))
def test_no_label_covers_another_or_leaves_a_narrow_map(seed: int) -> None:
    drawn = np.random.default_rng(seed)
    x, y = drawn.uniform(-1, 1, (2, 20))
    labels = ["x" * n for n in drawn.integers(5, 22, 20)]
    places = topic_chart.label_places(x.tolist(), y.tolist(), labels)
    boxes = []
    for at, place in enumerate(places):
        if place:
            up, side = place.split()
            width = topic_chart.LETTER * len(labels[at])
            left = topic_chart.UNIT * x[at] - {"center": width / 2, "right": 0, "left": width}[side]
            low = topic_chart.UNIT * y[at] + (
                topic_chart.POINT if up == "top" else -topic_chart.POINT - topic_chart.LINE
            )
            boxes.append((left, low, left + width, low + topic_chart.LINE))
    assert len(boxes) > 10 and all(max(abs(box[0]), abs(box[2])) <= 176 for box in boxes)
    for at, (left, low, right, high) in enumerate(boxes):
        for other_left, b, r, h in boxes[:at]:
            assert not (left < r and other_left < right and low < h and b < high)


def test_a_label_without_room_is_left_out_and_one_at_the_edge_turns_inwards() -> None:
    assert topic_chart.label_places([0.0] * 9, [0.0] * 9, ["a long title here"] * 9).count("") >= 3
    assert topic_chart.label_places([-1.0, 1.0], [0.0, 0.0], ["a long title here"] * 2) == [
        "top right",
        "top left",
    ]


def test_hovering_shows_study_text_as_text() -> None:
    told = topic_chart.hover("<script>alert(1)</script>", "%{x} $a$", "<b>group</b>")
    assert "<script" not in told and "%{" not in told and "$" not in told and told.count("<b>") == 1
