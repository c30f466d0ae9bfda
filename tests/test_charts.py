"""Charts: what is drawn for whom, study text that stays text, and figures as files."""

import json
import shutil
from xml.dom.minidom import parseString

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from pages.view.charts import answer_charts, frames
from pages.view.charts.figure_files import to_svg_png
from pages.view.charts.palette import BASELINES, DARK, LIGHT, model_colours
from pages.view.charts.plotly_text import plain_text, readable, wrapped
from socrates_core.analysis.intervals import shares_with_intervals
from socrates_core.errors import UserError
from socrates_core.records import Scale

SEVEN = Scale("range", 1, 7, 1, ((1, "strongly oppose"), (7, "strongly support")))
HUNDRED = Scale("range", 0, 100)
YES_NO = Scale("enum_labels", 1, 2, 1, ((1, "Yes"), (2, "No")))
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = (
    "<b>bold</b>",
    "<script>alert(1)</script>",
    "<a href='javascript:alert(1)'>link</a>",
    "a & b &lt;i&gt; &#60;b&#62;",
    "$\\latex$ and %{y} and %{customdata}",
    "\u202egnp.exe\u202c zero\u200bwidth \x07bell\nline",
)


def people(condition: str, scale: Scale, counts: list[int]) -> pd.DataFrame:
    shares = shares_with_intervals(np.array(counts, dtype=float))
    return pd.DataFrame(
        {
            "condition": condition,
            "who": "people",
            "value": scale.values,
            "share": shares.share,
            "low": shares.low,
            "high": shares.high,
            "n": shares.n,
        }
    )


def predicted(condition: str, scale: Scale, who: str = "starter") -> pd.DataFrame:
    k = len(scale.values)
    return pd.DataFrame(
        {
            "condition": condition,
            "who": who,
            "value": scale.values,
            "share": 1 / k,
            "low": np.nan,
            "high": np.nan,
            "n": 200,
        }
    )


def both(condition: str = "Control", scale: Scale = SEVEN) -> pd.DataFrame:
    counts = list(range(1, len(scale.values) + 1))
    return pd.concat([people(condition, scale, counts), predicted(condition, scale)], ignore_index=True)


def effects(**changed: object) -> pd.DataFrame:
    row = {"outcome": "Support", "condition": "Message", "difference": 0.5, "n": 90}
    told = [
        {**row, "who": "people", "low": 0.1, "high": 0.9},
        {**row, "who": "starter", "low": np.nan, "high": np.nan},
    ]
    return pd.DataFrame([{**each, **changed} for each in told])


def texts(figure: go.Figure) -> str:
    return "\n".join(str(note.text) for note in figure.layout.annotations)


def test_people_are_solid_with_intervals_and_predictions_hollow_without() -> None:
    human, model = answer_charts.distribution(both(), scale=SEVEN, title="What?", theme="light").data
    shares = shares_with_intervals(np.arange(1.0, 8.0))
    assert human.marker.color == LIGHT.fill
    assert list(human.error_y.array) == pytest.approx(shares.high - shares.share)
    assert list(human.error_y.arrayminus) == pytest.approx(shares.share - shares.low)
    assert model.error_y.array is None
    assert (
        model.marker.color.endswith("0.22)")
        and model.marker.line.color == model_colours(["starter"])["starter"]
    )


def test_every_condition_has_its_panel_on_the_same_axis() -> None:
    frame = pd.concat([both("Control"), both("Message")])
    figure = answer_charts.distribution(frame, scale=SEVEN, title="What?")
    assert figure.layout.yaxis.range == figure.layout.yaxis2.range
    assert figure.layout.xaxis.range == figure.layout.xaxis2.range
    assert [trace.showlegend for trace in figure.data] == [True, False, True, False]
    assert "Message" in texts(figure) and "n = 28 people" in texts(figure)


def test_ends_of_the_scale_are_labelled_and_the_full_label_is_in_the_hover() -> None:
    figure = answer_charts.distribution(both(), scale=SEVEN, title="What?")
    assert figure.layout.xaxis.ticktext[0] == "1<br>strongly<br>oppose"
    assert figure.layout.xaxis.ticktext[3] == "4"
    assert "1 = strongly oppose" in figure.data[0].customdata[0]
    assert "People’s answers: 3.57&#37; [0.63, 17.7]<br>n = 28 people" in figure.data[0].customdata[0]
    assert "Predicted by starter: 14.3&#37;<br>n = 200 simulated people" in figure.data[1].customdata[0]


def test_a_long_scale_is_binned_without_losing_anyone() -> None:
    figure = answer_charts.distribution(both(scale=HUNDRED), scale=HUNDRED, title="How warm?")
    human, model = figure.data
    assert len(human.x) == 20 and sum(human.y) == pytest.approx(1)
    assert sum(model.y[1:-1]) == pytest.approx(1)
    assert "95 to 100" in human.customdata[-1]
    # the interval of a bin comes from the people in it: 1..5 of 5,151
    assert human.error_y.array[0] == pytest.approx(
        shares_with_intervals(np.array([15.0, 5136])).high[0] - 15 / 5151
    )
    assert "5 points" in figure.layout.yaxis.title.text


def test_two_options_are_one_share_a_condition() -> None:
    figure = answer_charts.distribution(both(scale=YES_NO), scale=YES_NO, title="How many?")
    spans, human, model = figure.data
    assert list(human.x) == pytest.approx([1 / 3]) and list(model.x) == pytest.approx([0.5])
    assert spans.x[:2] == tuple(people("", YES_NO, [1, 2])[["low", "high"]].iloc[0])
    assert figure.layout.xaxis.title.text == "Share answering “Yes”"
    no = answer_charts.distribution(both(scale=YES_NO), scale=YES_NO, title="How many?", answer=2)
    assert list(no.data[1].x) == pytest.approx([2 / 3])


def test_ninety_six_conditions_are_cut_to_twelve_and_the_chart_says_so() -> None:
    frame = pd.concat([both(f"Vignette {number}") for number in range(96)])
    figure = answer_charts.distribution(frame, scale=SEVEN, title="What?")
    assert len(figure.data) == 24
    assert "The first 12 of 96 conditions" in texts(figure) and "The first 12 of 96" in figure.layout.meta
    chosen = answer_charts.distribution(frame, scale=SEVEN, title="What?", conditions=["Vignette 95"])
    assert len(chosen.data) == 2 and "Vignette 95" in texts(chosen)


def test_baselines_are_thin_grey_lines() -> None:
    frame = pd.concat([both(), predicted("Control", SEVEN, "uniform")])
    line = answer_charts.distribution(frame, scale=SEVEN, title="What?", theme="light").data[-1]
    assert (line.mode, line.name, line.line.color) == ("lines", "Uniform guess", LIGHT.faint)


def test_every_baseline_has_a_dash_pattern_of_its_own() -> None:
    frame = pd.concat([both(), *(predicted("Control", SEVEN, who) for who in BASELINES)])
    lines = answer_charts.distribution(frame, scale=SEVEN, title="What?", theme="light").data[2:]
    assert [line.name for line in lines] == [wrapped(name, 40, most=1) for name in BASELINES.values()]
    assert len({line.line.dash for line in lines}) == len(BASELINES)


def test_effects_have_intervals_only_where_they_are_earned() -> None:
    figure = answer_charts.effects_forest(effects(), title="How far?")
    spans, human, model = figure.data
    assert spans.x == (0.1, 0.9, None)
    assert (human.marker.symbol, model.marker.symbol) == ("circle", "circle-open")
    assert "+0.50 [0.10, 0.90]" in texts(figure)
    assert figure.layout.xaxis.title.text == "Difference in means, scale points"
    low, high = figure.layout.xaxis.range
    assert low < 0 and high > 0.9
    assert any(shape.x0 == shape.x1 == 0 for shape in figure.layout.shapes)


def test_several_outcomes_stand_under_their_names_and_many_are_cut_aloud() -> None:
    two = pd.concat([effects(), effects(outcome="Trust")])
    assert "<b>Trust</b>" in texts(answer_charts.effects_forest(two, title="How far?"))
    many = pd.concat([effects(condition=f"Message {number}") for number in range(50)])
    assert "The first 36 of 50 differences" in texts(answer_charts.effects_forest(many, title="How far?"))


def test_a_dark_page_has_light_people_and_light_text() -> None:
    figure = answer_charts.distribution(both(), scale=SEVEN, title="What?", theme="dark")
    assert figure.data[0].marker.color == DARK.fill
    assert figure.layout.template.layout.font.color == DARK.text


def test_a_model_keeps_its_colour_whoever_else_is_shown() -> None:
    alone, together = model_colours(["starter"]), model_colours(["gpt-4o", "starter"])
    assert alone["starter"] == together["starter"]
    assert len(set(model_colours(f"model {number}" for number in range(6)).values())) == 6


@pytest.mark.parametrize("text", HOSTILE)
def test_study_text_keeps_no_markup_of_its_own(text: str) -> None:
    shown = plain_text(text)
    assert not set(shown) & set("<>$%\u202e\u202c\u200b\x07\n")
    assert "&lt;i" not in plain_text("&lt;i")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_plain_wherever_a_chart_writes_it(text: str) -> None:
    scale = Scale("range", 1, 7, 1, ((1, text), (7, text)))
    frame = both(text, scale).replace("starter", text)
    figures = [
        answer_charts.distribution(frame, scale=scale, title=text),
        answer_charts.distribution(both(text, YES_NO), scale=YES_NO, title=text),
        answer_charts.effects_forest(effects(outcome=text, condition=text, who=text), title=text, unit=text),
    ]
    for figure in figures:
        told = figure.to_dict()
        del told["layout"]["meta"], told["layout"]["template"]
        for trace in told["data"]:
            assert trace.pop("hovertemplate", "") in ("", "%{customdata}<extra></extra>")
            trace.pop("legendgroup")
        written = json.dumps(told, default=list, ensure_ascii=False)
        for ours in ("<br>", "<b>", "</b>", '<span style=\\"font-size:12px\\">', "</span>"):
            written = written.replace(ours, "")
        assert not set(written) & set("<>$\u202e\u202c\u200b\x07")
        assert "%{" not in written


def test_long_text_is_cut_with_an_ellipsis() -> None:
    assert wrapped("a long name that goes on and on", 12, most=2) == "a long name<br>that goes o…"
    assert wrapped("word " * 3, 40) == "word word word"
    assert readable("a\u200b b\n c") == "a b c"


@pytest.mark.browser
@pytest.mark.skipif(not BROWSER, reason="neither Chrome nor Chromium is on this machine")
def test_figures_are_saved_by_the_systems_browser() -> None:
    figure = answer_charts.distribution(both(HOSTILE[1]), scale=SEVEN, title="What?", theme="light")
    files = to_svg_png(figure)
    assert files["png"].startswith(b"\x89PNG")
    drawn = parseString(files["svg"])
    assert not drawn.getElementsByTagName("script")
    written = [
        node.data
        for element in drawn.getElementsByTagName("tspan")
        for node in element.childNodes
        if node.nodeType == node.TEXT_NODE
    ]
    assert HOSTILE[1] in written


def test_without_a_browser_the_user_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", "/nowhere/chrome")
    with pytest.raises(UserError, match="Chrome or Chromium"):
        to_svg_png(go.Figure())


def test_an_effect_without_a_number_in_the_common_unit_is_left_out_rather_than_drawn_as_nan() -> None:
    frame = pd.DataFrame(
        {
            "difference": [1.0, 300.0, np.nan],
            "low": [0.5, 100.0, np.nan],
            "high": [1.5, 500.0, np.nan],
            "span": [4.0, np.nan, 10.0],
            "n_options": [5, 0, 11],
        }
    )
    drawn, unit = frames.in_one_unit(frame)
    assert unit == "% of each scale's range" and drawn["difference"].tolist() == [25.0]
    alone, unit = frames.in_one_unit(frame.iloc[1:2])
    assert unit == "scale points" and alone["difference"].tolist() == [300.0]


@pytest.mark.parametrize(("span", "difference"), [(1.0, 0.25), (2.0, 0.5)])
def test_two_options_are_in_percentage_points_whatever_their_codes(span: float, difference: float) -> None:
    effects = pd.DataFrame(
        {"difference": [difference], "low": [0.0], "high": [2 * difference], "span": [span], "n_options": [2]}
    )
    drawn, unit = frames.in_one_unit(effects)
    assert unit == "percentage points"
    assert drawn[["difference", "low", "high"]].iloc[0].tolist() == [25, 0, 50]
