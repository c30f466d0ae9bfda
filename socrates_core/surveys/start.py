"""Where a draft begins: empty, as a copy of a study, or with a look at the studies that are most like it."""

from collections import Counter
from collections.abc import Sequence

from socrates_core.corpus.near import Near, near_text
from socrates_core.corpus.queries import Corpus
from socrates_core.populations.panel import PanelSpec
from socrates_core.populations.remarks import default_population
from socrates_core.records import Stimulus
from socrates_core.scales import parse_scale
from socrates_core.studies.answers import condition_names, outcome_names, reference_of
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec, ScaleSpec, StudyRef
from socrates_core.surveys.originals import asked_items

LONGEST_TITLE = 60  # characters


def empty_draft() -> Draft:
    """One condition and one outcome to fill in, asked of people of one study."""
    return Draft(
        conditions=(ConditionSpec(name="Control"),),
        outcomes=(OutcomeSpec(name="Outcome"),),
        panel=default_population(),
    )


IDEA_SCALES = {
    "1 to 7, from not at all to very much": "Only return an integer from 1 to 7, where 1 means Not at all and 7 means "
    "Very much, nothing else.",
    "yes or no": "Only return 1 for Yes or 2 for No, nothing else.",
    "0 to 100": "Only return an integer from 0 to 100, nothing else.",
}


def draft_of_idea(first: str, second: str, question: str, scale: str) -> Draft:
    """Two texts and a question, to be read by two groups of the usual population; `scale` is one of IDEA_SCALES."""
    words = " ".join(question.split())
    title = words if len(words) <= LONGEST_TITLE else f"{words[: LONGEST_TITLE - 1]}…"
    instruction = parse_scale(IDEA_SCALES[scale])
    assert instruction is not None
    return Draft(
        title=title or "Untitled draft",
        conditions=(ConditionSpec(name="Text A", text=first), ConditionSpec(name="Text B", text=second)),
        outcomes=(OutcomeSpec(name="Answer", question=question, scale=ScaleSpec.of(instruction)),),
        reference="Text A",
        panel=default_population(),
    )


def draft_from_study(corpus: Corpus, study_id: str) -> Draft:
    """A draft that asks what the study asked, of fifty of its own people.

    Conditions and outcomes remember where they come from, so that people's answers can be shown next to the
    prediction wherever the text is not changed.
    """
    record = corpus.study(study_id)
    design = corpus.design(study_id)
    stimuli = corpus.stimuli(study_id)
    conditions = condition_names(stimuli)
    return Draft(
        title=record.title,
        study=StudyRef(corpus=corpus.name, study_id=study_id),
        conditions=tuple(
            ConditionSpec(
                name=name,
                text=next(s.condition_text for s in stimuli if s.condition_num == number),
                source=number,
                levels={factor.name: factor.level_of_condition[place] for factor in design.factors},
            )
            for place, (number, name) in enumerate(conditions.items())
        ),
        outcomes=tuple(
            OutcomeSpec(
                name=name,
                question=item.question,
                scale=ScaleSpec.of(item.scale),
                source=item.task_num,
            )
            for name, item in _items(corpus, stimuli)
        ),
        reference=conditions[reference_of(record, conditions)],
        assignment="within" if design.assignment == "within" else "between",
        panel=PanelSpec(corpus=corpus.name, studies=(study_id,), n=min(50, record.n_participants)),
    )


def near_draft(draft: Draft, corpora: Sequence[str], most: int = 10) -> list[Near]:
    """The studies most like what a draft says and asks, at most `most`."""
    texts = [draft.title]
    texts += [condition.text for condition in draft.conditions]
    texts += [outcome.question for outcome in draft.outcomes]
    return near_text(" ".join(texts), corpora, most)


def _items(corpus: Corpus, stimuli: list[Stimulus]) -> list[tuple[str, Stimulus]]:
    """Each item with a name of its own; the items of a battery are numbered."""
    items = asked_items(corpus, stimuli[0].study_id, stimuli)
    names = outcome_names(stimuli)
    place = Counter[int]()
    named = []
    for part, item in items:
        place[item.task_num] += 1
        several = f" ({place[item.task_num]})" if part else ""
        named.append((names[item.task_num] + several, item))
    return named
