"""One study: what people were shown and asked, what they answered, and what the treatment did."""

import math
from collections.abc import Collection

import pandas as pd
import streamlit as st

from pages.library.answers import show_answers
from pages.library.overview import show_overview
from pages.library.participants import show_takers
from pages.library.scale_by_hand import show_scale_by_hand
from pages.view import cached, state
from pages.view.charts import answer_charts, frames
from pages.view.charts.frames import TWO
from pages.view.charts.show import show_chart, theme
from pages.view.exposure_badges import study_badges
from pages.view.factor_table import show_factor_table
from pages.view.fields.link import linked_box, linked_select
from pages.view.fields.table import choose_row, pages_of
from pages.view.seals import freeze_button, show_frozen
from pages.view.words import counted, escape, interval_text, shorten, show_difference, show_prompt, show_text
from socrates_core.corpus.near import near_study
from socrates_core.corpus.queries import Corpus, StudyRecord
from socrates_core.corpus.store import open_corpus
from socrates_core.projects import drafts
from socrates_core.projects.run_means import POINTS
from socrates_core.prompts import render_prompt
from socrates_core.scales import render_instruction
from socrates_core.studies.answers import OptionEffects, Outline, reference_of
from socrates_core.studies.factors import people_factor_effects
from socrates_core.surveys.start import draft_from_study

VIEWS = [
    "Overview",
    "Answers",
    "Effects",
    "People",
    "Conditions",
    "Outcomes",
    "Exact prompt",
    "Similar",
    "About",
]
OF_ANSWERS = ("outcome", "by", "condition", "grid", "min_n")  # parameters of the link
DESIGNS = {
    "between": "each person saw one condition",
    "within": "each person saw all conditions",
    "mixed": "some people saw several conditions",
}
METHODS = {
    "between": "Welch's t between people",
    "within": "paired within people",
    "mixed": "clustered by person (CR2) where people answered in both conditions, else Welch's t",
}
CLUSTERED = (
    "cluster-robust (CR2) with Satterthwaite's degrees of freedom; with blocks, differences within blocks"
)
HOLM = "Holm's correction is over all comparisons of this page: every condition and outcome."
FILES = {"parquet": "Parquet", "csv": "CSV", "sav": "SPSS (.sav)", "dta": "Stata (.dta)"}


def usual_view() -> str:
    """The view of a link that names none: Answers, once the first view, if the link says how to show answers."""
    return "Answers" if any(state.parameter(name) for name in OF_ANSWERS) else VIEWS[0]


def choose_study() -> tuple[Corpus, StudyRecord]:
    """The study in the link, or the one chosen in the box at the top."""
    titles = {f"{corpus}/{study_id}": title for (corpus, study_id), title in cached.titles().items()}
    if not titles:
        st.title("Study")
        st.info("There are no studies yet. Run `make setup`, then reload.", icon=":material/download:")
        st.stop()
    chosen = linked_box(
        "Study",
        titles,
        linked_study(titles),
        lambda key: dict(zip(("corpus", "study"), key.split("/", 1), strict=True)),
        key="study_box",
    )
    corpus, study_id = chosen.split("/", 1)
    opened = open_corpus(corpus)
    return opened, opened.study(study_id)


def linked_study(titles: Collection[str]) -> str | None:
    """The study in the link, as source/study. Without a source in the link, all sources are searched.

    The page says so if several sources have the study or none has it.
    """
    source, study_id = state.parameter("corpus"), state.parameter("study")
    if study_id is None:
        return None
    if source is not None and f"{source}/{study_id}" in titles:
        return f"{source}/{study_id}"
    same_id = [key for key in titles if key.split("/", 1)[1] == study_id]
    if source is not None or not same_id:
        where = "" if source is None else f" in the source {source!r}"
        st.warning(escape(f"There is no study {study_id!r}{where}. Choose one here."), icon=":material/help:")
        return None
    sources = [key.split("/", 1)[0] for key in same_id]
    if len(same_id) > 1:
        st.info(
            escape(
                f"{len(same_id)} sources have a study {study_id!r}: {', '.join(sources)}. This is the one from "
                f"{sources[0]}; choose another in the box."
            ),
            icon=":material/help:",
        )
    return same_id[0]


def header(corpus: Corpus, record: StudyRecord) -> None:
    """The title, the facts, and the page's one action."""
    title, action = st.columns([3, 1], vertical_alignment="center")
    title.title(escape(record.title), anchor=False)
    if action.button("Draft from this study", type="primary", width="stretch"):
        draft_id = drafts.create(draft_from_study(corpus, record.study_id))
        state.go_to(state.PAGES.draft, draft=draft_id)
    with st.container(horizontal=True, gap="small"):
        st.badge(f"{record.n_participants:,} people", icon=":material/group:", color="gray")
        st.badge(counted(record.n_conditions, "condition"), color="gray")
        st.badge(counted(record.n_outcomes, "outcome"), color="gray")
        st.badge(DESIGNS[record.design], color="gray")
        colour = {"instrument": "green", "partly": "orange"}.get(record.wording, "orange")
        wording = {"instrument": "instrument's wording", "partly": "wording partly rebuilt"}
        st.badge(wording.get(record.wording, "wording rebuilt"), color=colour)  # type: ignore[arg-type]
        study_badges(corpus, record.study_id)
        freeze_button(corpus, record.study_id)


def show_effects(corpus: Corpus, record: StudyRecord, plan: Outline) -> None:
    conditions = plan.conditions
    if len(conditions) < 2:
        st.info("This study has one condition, so there is no effect to show.", icon=":material/info:")
        return
    usual = reference_of(record, conditions)
    numbers = {
        str(number): conditions[number] for number in sorted(conditions, key=lambda number: number != usual)
    }
    reference = int(
        linked_select("Reference condition", numbers, "reference", f"{corpus.name}/{record.study_id}")
    )
    compared = cached.study_effects(corpus.name, record.study_id, reference, cached.stamp(corpus.name))
    effects = compared.effects
    if compared.options:
        show_option_effects(compared.options, conditions[reference])
    for reason in dict.fromkeys(refusal.reason for refusal in compared.refused):
        refused = [refusal for refusal in compared.refused if refusal.reason == reason]
        st.warning(
            escape(
                f"{counted(len(refused), 'comparison')} not made ("
                f"{refused[0].outcome}, {refused[0].condition}"
                f"{', …' if len(refused) > 1 else ''}). {reason}"
            ),
            icon=":material/compare_arrows:",
        )
    if not effects:
        if not compared.options:
            st.info(
                "No outcome was asked in two conditions in a way that can be compared.",
                icon=":material/info:",
            )
        return
    frame = pd.DataFrame(
        [{**vars(e), "who": "people", **vars(e.effect), "effect": None} for e in effects]
    ).drop(columns="effect")
    title = f"How far does each condition move answers from “{conditions[reference]}”?"
    drawn, unit = frames.in_one_unit(frame)
    show_chart(
        answer_charts.effects_forest(drawn, title=title, unit=unit, theme=theme()), drawn, "people_effects"
    )
    if len(drawn) < len(frame):
        st.caption("Open outcomes have no range to be a share of; they stand in the table alone.")
    table = frame.assign(
        interval=[interval_text(e.effect.low, e.effect.high) for e in effects],
        points=[100 * e.effect.share if e.n_options == TWO else math.nan for e in effects],
    )
    st.dataframe(
        table,
        hide_index=True,
        key="effects_table",
        alt="Differences in means with intervals and p-values",
        column_order=[
            "outcome",
            "condition",
            "difference",
            "interval",
            *(["points"] if any(e.n_options == TWO for e in effects) else []),
            "p",
            "p_holm",
            "share",
            "d",
            "n",
            "n_reference",
            *(["n_clusters", "n_clusters_reference"] if any(e.effect.n_clusters for e in effects) else []),
            *(["note"] if any(e.note for e in effects) else []),
        ],
        column_config={
            "outcome": st.column_config.TextColumn("Outcome", width=260),
            "condition": "Condition",
            "interval": "95% interval",
            "difference": st.column_config.NumberColumn("Difference", format="%.2f", help="scale points"),
            "points": st.column_config.NumberColumn(
                "Percentage points", format="%.1f", help="of outcomes with two options, whatever their codes"
            ),
            "p": st.column_config.NumberColumn("p", format="%.3g", help="two-sided, of no difference"),
            "p_holm": st.column_config.NumberColumn("p, Holm", format="%.3g", help=HOLM),
            "share": st.column_config.NumberColumn("of the range", format="percent"),
            "d": st.column_config.NumberColumn("Cohen's d", format="%.2f"),
            "n": "n",
            "n_reference": "n reference",
            "n_clusters": "clusters",
            "n_clusters_reference": "clusters reference",
            "note": st.column_config.TextColumn("Note", width="large"),
        },
    )
    design = corpus.design(record.study_id)
    method = METHODS[record.design] if design.is_plain else CLUSTERED
    st.caption(escape(cached.design_sentence(corpus.name, record.study_id, cached.stamp(corpus.name))))
    st.caption(
        f"Difference in means, condition minus reference, in scale points; 95% intervals: {method}. {HOLM}"
    )
    placed = sum(e.basis == "positions" for e in effects)
    if placed:
        st.caption(
            f"{placed} of {len(effects)} differences are between scales that are not the same: these are differences "
            "of the place on the scale, from 0 (lowest) to 1 (highest), and not of scale points."
        )
    n_possible = len(plan.items) * (len(conditions) - 1)
    n_compared = len(effects) + len(compared.options)
    if n_compared < n_possible:
        st.caption(
            f"{n_possible - n_compared} of {n_possible} comparisons are not made: not asked in both, or not comparable."
        )
    show_factors(corpus, record.study_id, reference)


def show_factors(corpus: Corpus, study_id: str, reference: int) -> None:
    """Main effects and interactions of crossed conditions; nothing where they are not crossed."""
    effects = people_factor_effects(corpus, study_id, reference)
    if not effects:
        return
    rows = [
        {
            "outcome": effect.outcome,
            "contrast": effect.contrast.name,
            "kind": effect.contrast.kind,
            "people": effect.estimate.estimate,
            "low": effect.estimate.low,
            "high": effect.estimate.high,
            "interval": interval_text(effect.estimate.low, effect.estimate.high),
            "p_holm": effect.p_holm,
            "n": effect.estimate.n,
            "unit": POINTS,
        }
        for effect in effects
    ]
    show_factor_table(pd.DataFrame(rows), [effect.note for effect in effects])


def show_option_effects(options: list[OptionEffects], reference: str) -> None:
    """Shares of options without an order, in percentage points against the reference."""
    st.markdown("**Outcomes whose options have no order, option by option**")
    rows = [
        {
            "outcome": effect.outcome,
            "condition": effect.condition,
            "option": option["label"] or f"{option['value']:g}",
            "share": option["share"],
            "share_reference": option["share_reference"],
            "points": 100 * option["difference"],
            "interval": interval_text(100 * option["low"], 100 * option["high"]),
            "n": effect.shares.n,
            "n_reference": effect.shares.n_reference,
            "p": effect.shares.p,
            "p_holm": effect.p_holm,
        }
        for effect in options
        for option in effect.as_dict()["options"]
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        key="option_effects_table",
        alt="Differences in the shares of single options with intervals",
        column_config={
            "outcome": st.column_config.TextColumn("Outcome", width=220),
            "condition": "Condition",
            "option": "Option",
            "share": st.column_config.NumberColumn("Share", format="percent"),
            "share_reference": st.column_config.NumberColumn("Share in the reference", format="percent"),
            "points": st.column_config.NumberColumn("Difference, percentage points", format="%.1f"),
            "interval": "95% interval",
            "n": "n",
            "n_reference": "n reference",
            "p": st.column_config.NumberColumn(
                "p, all options",
                format="%.3g",
                help="Test of no difference in any option: chi-square where people gave one answer each, else the "
                "smallest p of the options times their number",
            ),
            "p_holm": st.column_config.NumberColumn("p, Holm", format="%.3g", help=HOLM),
        },
    )
    st.caption(
        f"Share of people who chose the option, condition minus “{escape(reference)}”. Options without an order have "
        "no mean. 95% intervals: Newcombe's where people gave one answer each, else t intervals, which "
        "allow for clusters, blocks, and weights."
    )


def show_conditions(record: StudyRecord, plan: Outline) -> None:
    conditions, texts = plan.conditions, plan.texts
    reference = reference_of(record, conditions)
    st.caption("Words that the reference condition does not have are marked.")
    numbers = sorted(conditions, key=lambda number: (number != reference, number))
    page = [numbers[at] for at in pages_of(len(numbers), 12, "page")]
    for row in range(0, len(page), 3):
        columns = st.columns(3)
        for column, number in zip(columns, page[row : row + 3], strict=False):
            with column.container(border=True):
                mark = " · reference" if number == reference else ""
                st.markdown(f"**{escape(conditions[number])}**{mark}")
                n_texts = max(item.texts.get(number, 0) for item in plan.items)
                if n_texts > 1:
                    st.caption(f"One of {n_texts:,} texts; they differ from person to person.")
                if not texts[number].strip():
                    st.caption("People of this condition read nothing before the questions.")
                elif number == reference:
                    show_text(texts[number])
                else:
                    show_difference(texts[number], texts[reference])


def show_outcomes(corpus: Corpus, record: StudyRecord, plan: Outline) -> None:
    for at in pages_of(len(plan.items), 12, "page"):
        item = plan.items[at]
        with st.container(border=True):
            st.markdown(f"**{escape(item.name)}**")
            show_text(item.question or "The question stands in the text under Conditions.")
            scales = list(
                dict.fromkeys(scale for of_condition in item.scales.values() for scale in of_condition)
            )
            for scale in scales[:3]:
                st.caption(escape(render_instruction(scale)))
            if len(scales) > 1:
                st.warning(f"{len(scales)} scales: it differs between conditions.", icon=":material/warning:")
            if item.unread:
                st.warning(
                    "The scale could not be read; answers are taken as open numbers.",
                    icon=":material/warning:",
                )
            show_scale_by_hand(corpus, record.study_id, item)


def show_person(corpus: Corpus, record: StudyRecord, plan: Outline) -> None:
    left, middle, right = st.columns(3)
    person = left.selectbox("Participant", corpus.participant_ids(record.study_id), key="prompt_person")
    conditions, items = plan.conditions, plan.items
    condition = middle.selectbox(
        "Condition", list(conditions), format_func=conditions.__getitem__, key="prompt_c"
    )
    item = items[
        right.selectbox("Outcome", range(len(items)), format_func=lambda at: items[at].name, key="prompt_t")
    ]
    stimulus_id = plan.first.get((condition, *item.key))
    if stimulus_id is None:
        st.info("People of this condition were not asked this. Choose another pair.", icon=":material/info:")
        return
    demographics = corpus.participant(record.study_id, person).demographics
    show_prompt(
        render_prompt(demographics, corpus.stimulus(record.study_id, stimulus_id).stimulus), "starter"
    )


def show_similar(corpus: Corpus, record: StudyRecord) -> None:
    titles = cached.titles()
    similar = near_study(corpus.name, record.study_id, sorted({name for name, _ in titles}), 12)
    if not similar:
        st.info("No other study uses similar wording.", icon=":material/search_off:")
        return
    table = pd.DataFrame(
        [
            {
                "title": titles[near.corpus, near.study_id],
                "likeness": near.likeness,
                "shared": ", ".join(near.shared),
                "corpus": near.corpus,
            }
            for near in similar
        ]
    )
    st.caption("Studies with similar wording, the most similar first. Choose a row to open it.")
    chosen = choose_row(
        table,
        similar,
        key="similar_table",
        alt="Studies like this one with the words they share",
        column_config={
            "title": st.column_config.TextColumn("Study", width=330),
            "likeness": st.column_config.ProgressColumn("Likeness", min_value=0, max_value=1, format="%.2f"),
            "shared": st.column_config.TextColumn("Words in common", width=330),
            "corpus": "Corpus",
        },
    )
    if chosen is not None:
        state.go_to(state.PAGES.study, corpus=chosen.corpus, study=chosen.study_id)


def show_about(corpus: Corpus, record: StudyRecord) -> None:
    _downloads(corpus, record)
    st.markdown("**Source**")
    show_text(record.source + (f"\n{record.url}" if record.url else ""))
    st.markdown("**Licence**")
    show_text(record.licence)
    st.markdown("**Notes and caveats**")
    for note in record.notes:
        show_text(f"• {note}")
    if not record.notes:
        st.caption("No problems are known.")


def _downloads(corpus: Corpus, record: StudyRecord) -> None:
    """The study's data with its codebook, written when a person clicks."""
    st.markdown("**Download** the study's answers with a codebook")
    if show_frozen(corpus, record.study_id):
        return
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    kind = left.selectbox(
        "File", list(FILES), format_func=FILES.__getitem__, key="download_kind", label_visibility="collapsed"
    )
    right.download_button(
        "Download",
        lambda: cached.study_archive(corpus.name, record.study_id, kind),
        f"{record.study_id}_{kind}.zip",
        "application/zip",
        key="download_study",
        icon=":material/download:",
        on_click="ignore",
    )


corpus, record = choose_study()
header(corpus, record)
plan = cached.study_outline(corpus.name, record.study_id, cached.stamp(corpus.name))
view = st.segmented_control(
    "What to show",
    VIEWS,
    default=usual_view(),
    required=True,
    key="study_view",
    label_visibility="collapsed",
    bind="query-params",
)
if view in ("Overview", "Answers", "Effects") and show_frozen(corpus, record.study_id):
    pass
elif view == "Overview":
    show_overview(corpus, record, plan)
elif view == "Answers":
    show_answers(corpus, record, plan)
elif view == "Effects":
    show_effects(corpus, record, plan)
elif view == "People":
    show_takers(corpus, record)
elif view == "Conditions":
    show_conditions(record, plan)
elif view == "Outcomes":
    show_outcomes(corpus, record, plan)
elif view == "Exact prompt":
    show_person(corpus, record, plan)
elif view == "Similar":
    show_similar(corpus, record)
else:
    show_about(corpus, record)
if view in ("Answers", "Effects") and record.notes:
    st.caption(escape(f"Note: {shorten(record.notes[0], 200)} More under About."))
