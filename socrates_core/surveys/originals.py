"""What a study asked in the cells of a draft that were left unchanged."""

from collections import defaultdict
from functools import lru_cache

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.scale_overrides import overrides_stamp
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.records import Stimulus
from socrates_core.surveys.draft import Draft

CellKey = tuple[int, int]  # positions of condition and outcome in the draft


def study_of(draft: Draft) -> tuple[Corpus, list[Stimulus]] | None:
    """The corpus and the stimuli of the draft's study; None where it has none, or the corpus cannot be read."""
    if draft.study is None:
        return None
    try:
        corpus = open_corpus(draft.study.corpus)
        # Scales set by hand change stimuli without changing the corpus, so the stamp has both.
        stamp = f"{corpus.manifest.get('created', '')} {overrides_stamp(corpus.path)}"
        return corpus, _stimuli(corpus.name, draft.study.study_id, stamp)
    except UserError:
        return None


@lru_cache(maxsize=8)
def _stimuli(corpus: str, study_id: str, _stamp: str) -> list[Stimulus]:
    return open_corpus(corpus).stimuli(study_id)


def asked_items(corpus: Corpus, study_id: str, stimuli: list[Stimulus]) -> list[tuple[str, Stimulus]]:
    """The outcomes of a study, the items of a battery one by one: their part and their first stimulus.

    The part is the item's question, empty where the task is no battery.
    """
    by_id = {stimulus.stimulus_id: stimulus for stimulus in stimuli}
    rows = corpus.outline(study_id).drop_duplicates(["task_num", "part"])
    return [(row["part"], by_id[row["stimulus_id"]]) for row in rows.to_dict("records")]


def original_cells(draft: Draft) -> dict[CellKey, Stimulus]:
    """The study's own stimulus for every cell whose condition, question and scale are those of the study.

    It is shown word for word, even where a study words one question differently in each condition.
    """
    study = study_of(draft)
    if study is None:
        return {}
    corpus, stimuli = study
    first_texts: dict[int, str] = {}
    by_cell: dict[tuple[int, int], list[Stimulus]] = defaultdict(list)
    for stimulus in stimuli:
        first_texts.setdefault(stimulus.condition_num, stimulus.condition_text.strip())
        by_cell[stimulus.condition_num, stimulus.task_num].append(stimulus)
    items: dict[int, dict[str, str]] = defaultdict(dict)  # by outcome: the first question of each part
    for part, stimulus in asked_items(corpus, stimuli[0].study_id, stimuli):
        items[stimulus.task_num][stimulus.question.strip()] = part
    originals = {}
    for c, condition in enumerate(draft.conditions):
        kept = condition.source is not None and first_texts.get(condition.source) == condition.text.strip()
        for o, outcome in enumerate(draft.outcomes):
            question = outcome.question.strip()
            if kept and outcome.source is not None and question in items[outcome.source]:
                candidates = [
                    s
                    for s in by_cell[condition.source or 0, outcome.source]
                    if s.scale == outcome.scale.scale()
                ]
                same_question = [s for s in candidates if s.question.strip() == question]
                if same_question or (candidates and not items[outcome.source][question]):
                    originals[c, o] = (same_question or candidates)[0]
    return originals


def worded_by_condition(draft: Draft) -> set[int]:
    """The positions of the outcomes that the draft's study asks in other words in another condition."""
    study = study_of(draft)
    questions: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for stimulus in study[1] if study else ():
        questions[stimulus.task_num][stimulus.condition_num].add(stimulus.question)
    wordings = {task: {frozenset(words) for words in by.values()} for task, by in questions.items()}
    return {
        o
        for o, outcome in enumerate(draft.outcomes)
        if len(wordings.get(-1 if outcome.source is None else outcome.source, ())) > 1
    }


def texts_of(draft: Draft) -> dict[CellKey, str]:
    """What every cell shows: the study's own text where nothing was changed, else the draft's parts put together."""
    originals = original_cells(draft)
    return {
        (c, o): originals[c, o].stimulus if (c, o) in originals else draft.stimulus(condition, outcome)
        for c, condition in enumerate(draft.conditions)
        for o, outcome in enumerate(draft.outcomes)
    }
