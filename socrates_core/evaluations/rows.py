"""Who is asked what: the held-out people of a split, each with the stimuli that they answered themselves."""

import zlib
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import corpus_digest, load_split, split_rows
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.spec import EvaluationSpec
from socrates_core.models.served.shots import Answered, pick_shots, with_shots
from socrates_core.populations.panel import present
from socrates_core.prompts import ask
from socrates_core.records import Question, parse_number

CELL = ["study_id", "condition_num", "task_num"]
_COLUMNS = "study_id, sample_id, participant, stimulus_id"


def asked_rows(spec: EvaluationSpec) -> pd.DataFrame:
    """A row for each person and stimulus, in order of study, condition, outcome and person.

    Columns study_id, condition_num, task_num, part, stimulus_id, sample_id, participant, response (as observed) and
    value (NaN off the scale). Raises UserError where nothing is held out, or the corpus is another one by now.
    """
    corpus = open_corpus(spec.corpus)
    if corpus_digest(corpus) != spec.corpus_digest:
        raise UserError(
            f"The studies of {spec.corpus!r} have changed since this evaluation was requested. Evaluate again."
        )
    if spec.split is None:
        held_out = corpus.ask(
            f"SELECT {_COLUMNS} FROM read_parquet($responses) WHERE list_contains($chosen, study_id)",
            chosen=list(spec.studies),
        )
    else:
        split = load_split(spec.split)
        if split.digest() != spec.split_digest:
            raise UserError(
                f"The split {spec.split!r} was made again since this evaluation was requested. Evaluate again."
            )
        held_out = split_rows(corpus, split, "eval")
        held_out = held_out[held_out["study_id"].isin(spec.studies)] if spec.studies else held_out
    if held_out.empty:
        raise UserError("No answer is held out there, so there is nothing to evaluate on.")
    return capped(with_answers(corpus, held_out), spec.cap, spec.seed)


def with_answers(corpus: Corpus, wanted: pd.DataFrame) -> pd.DataFrame:
    """The rows with these study_id and sample_id, with all columns of `asked_rows` and in its order."""
    parts = []
    for study, rows in wanted.groupby("study_id"):
        answers = corpus.responses(str(study))
        parts.append(rows[["study_id", "sample_id"]].merge(answers, on="sample_id"))
    rows = pd.concat(parts, ignore_index=True)
    return rows.sort_values([*CELL, "participant", "stimulus_id", "sample_id"], ignore_index=True)


def capped(rows: pd.DataFrame, cap: int | None, seed: int) -> pd.DataFrame:
    """At most `cap` people of every cell, the first in a seeded order, so that a larger cap keeps them all.

    `rows` has the columns of CELL and participant.
    """
    if cap is None:
        return rows
    kept = []
    for key, cell in rows.groupby(CELL):
        people = cell["participant"].unique()
        # A seed for each cell: other studies in the evaluation do not change who is asked. hash() changes by process.
        cell_seed = zlib.crc32("/".join(map(str, key)).encode())
        order = np.random.default_rng([seed, cell_seed]).permutation(len(people))
        kept.append(cell[cell["participant"].isin(people[order[:cap]])])
    return pd.concat(kept, ignore_index=True)


def questions_of_rows(corpus: Corpus, study_id: str, rows: pd.DataFrame, template: str) -> Iterator[Question]:
    """The question of each of a study's `rows`, in order."""
    by_id = {stimulus.stimulus_id: stimulus for stimulus in corpus.stimuli(study_id)}
    profiles = _profiles(corpus, study_id, rows["participant"])
    for participant, stimulus_id in zip(rows["participant"], rows["stimulus_id"], strict=True):
        stimulus = by_id[stimulus_id]
        yield ask(profiles[participant], stimulus.stimulus, stimulus.scale, template)


def questions_of(
    corpus: Corpus, study_id: str, rows: pd.DataFrame, spec: EvaluationSpec
) -> Iterator[Question]:
    """The question of each of a study's `rows` in an evaluation, in order, with its few-shot examples.

    Examples are answers to the same stimulus by people who are not evaluated. Raises UserError if there are too few.
    """
    questions = questions_of_rows(corpus, study_id, rows, spec.template)
    if not spec.shots:
        yield from questions
        return
    stimuli = {stimulus.stimulus_id: stimulus for stimulus in corpus.stimuli(study_id)}
    evaluated = set(rows["participant"].tolist())
    others = _answered_by_others(corpus, study_id, evaluated, _profiles(corpus, study_id))
    for question, participant, stimulus_id in zip(
        questions, rows["participant"], rows["stimulus_id"], strict=True
    ):
        stimulus = stimuli[stimulus_id]
        shots = pick_shots(
            others.get(stimulus_id, []),
            stimulus.stimulus,
            stimulus.scale,
            participant=int(participant),
            held_out=evaluated,
            k=spec.shots,
            seed=spec.seed,
            template=spec.template,
        )
        yield with_shots(question, shots)


def _profiles(
    corpus: Corpus, study_id: str, wanted: pd.Series | None = None
) -> dict[int, dict[str, str | int]]:
    """The demographics of a study's people, or of the `wanted` ones."""
    people = corpus.participants([study_id]).set_index("participant")
    if wanted is not None:
        people = people.loc[people.index.isin(wanted)]
    return {n: present(row) for n, row in zip(people.index, people.to_dict("records"), strict=True)}


def _answered_by_others(
    corpus: Corpus, study_id: str, evaluated: set[int], profiles: Mapping[int, dict[str, str | int]]
) -> dict[int, list[Answered]]:
    """The answers of people who are not evaluated, by stimulus."""
    answers = corpus.responses(study_id)
    answers = answers[~answers["participant"].isin(evaluated) & answers["value"].notna()].drop_duplicates(
        ["stimulus_id", "participant"]
    )
    by_stimulus: dict[int, list[Answered]] = {}
    for stimulus_id, number, value in zip(
        answers["stimulus_id"], answers["participant"], answers["value"], strict=True
    ):
        by_stimulus.setdefault(int(stimulus_id), []).append(
            Answered(int(number), profiles[number], parse_number(float(value)))
        )
    return by_stimulus
