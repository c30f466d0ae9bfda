"""Where a draft begins: empty, or as a copy of a study's conditions and outcomes."""

from collections import Counter

from socrates_core.corpus.queries import Corpus
from socrates_core.populations.spec import PanelSpec
from socrates_core.records import Stimulus
from socrates_core.studies.answers import condition_names, outcome_names, reference_of
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec, ScaleSpec, StudyRef
from socrates_core.surveys.originals import asked_items


def empty_draft() -> Draft:
    """One condition and one outcome to fill in."""
    return Draft(conditions=(ConditionSpec(name="Control"),), outcomes=(OutcomeSpec(name="Outcome"),))


def draft_from_study(corpus: Corpus, study_id: str) -> Draft:
    """A draft that asks what the study asked, of fifty of its own people.

    Conditions and outcomes remember where they come from, so that people's answers stand beside the
    prediction wherever the text is left as it was.
    """
    record, stimuli = corpus.study(study_id), corpus.stimuli(study_id)
    conditions = condition_names(stimuli)
    return Draft(
        title=record.title,
        study=StudyRef(corpus=corpus.name, study_id=study_id),
        conditions=tuple(
            ConditionSpec(
                name=name,
                text=next(s.condition_text for s in stimuli if s.condition_num == number),
                source=number,
            )
            for number, name in conditions.items()
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
        panel=PanelSpec(corpus=corpus.name, studies=(study_id,), n=min(50, record.n_participants)),
    )


def _items(corpus: Corpus, stimuli: list[Stimulus]) -> list[tuple[str, Stimulus]]:
    """What was asked with a name that no other item has; the items of a battery are numbered."""
    items = asked_items(corpus, stimuli[0].study_id, stimuli)
    names, place = outcome_names(stimuli), Counter[int]()
    found = []
    for part, item in items:
        place[item.task_num] += 1
        several = f" ({place[item.task_num]})" if part else ""
        found.append((names[item.task_num] + several, item))
    return found
