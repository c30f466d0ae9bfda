"""What a model learns from: a prompt's tokens and the answers that follow it, with their shares, for every method.

With SFT a row has one answer, its person's; with reasoning, a rationale before that answer; with distribution training,
all answers of the cell; with DPO, the person's answer, then another person's. Every answer ends with the end of the
turn.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from socrates_core.corpus.queries import Corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.rows import CELL
from socrates_core.finetuning.rationales import load_rationales
from socrates_core.finetuning.rows import TrainingRows
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.finetuning.token_cache import prompt_tokens
from socrates_core.models.chat import Chat
from socrates_core.models.reasoning import render_reasoned
from socrates_core.populations.panel import present
from socrates_core.prompts import render_prompt
from socrates_core.records import Floats, Prompt, Scale, parse_number

Target = tuple[tuple[str, ...], tuple[float, ...]]  # the answers' texts and their shares


@dataclass(frozen=True, eq=False)
class Example:
    """A prompt's tokens [n] with its answers' tokens, end of turn included, and their shares.

    `row` is its place among the rows; `person` numbers the people, so that one person's examples can be read together.
    """

    prompt: NDArray[np.int32]
    answers: tuple[tuple[int, ...], ...]
    shares: Floats
    weight: float
    row: int
    person: int

    @property
    def n_tokens(self) -> int:
        """The number of tokens that it takes to read this example alone."""
        return len(self.prompt) + sum(map(len, self.answers))


def build_examples(spec: TrainingSpec, chosen: TrainingRows, rows: pd.DataFrame, chat: Chat) -> list[Example]:
    """The examples that `spec` makes of `rows`, a part of the `chosen` ones; a row without a target gives none.

    Raises UserError if the model has no token that ends a turn, rationales are missing, or no row gives an example.
    """
    if chat.end is None:
        raise UserError(
            f"The model {spec.base!r} names no token that ends a turn, so it cannot learn to stop. "
            "Give its tokenizer_config.json an 'eos_token'."
        )
    rows = rows.reset_index(drop=True)
    targets = list(_targets(spec, chosen, rows))
    texts = sorted({text for target in targets if target for text in target[0]})
    end = chat.end
    tokens = dict(zip(texts, ((*ids, end) for ids in chat.answer_tokens(texts)), strict=True))
    places = [place for place, target in enumerate(targets) if target]
    with_target = rows.iloc[places]
    prompts = prompt_tokens(
        chosen.corpus, with_target, spec.template, chat, lambda: _prompts(spec, chosen.corpus, with_target)
    )
    people = rows.groupby(["study_id", "participant"]).ngroup().to_numpy()
    weights = _weights(with_target, spec)
    examples = []
    for place, prompt, weight in zip(places, prompts, weights, strict=True):
        answers, shares = targets[place] or ((), ())
        answer_ids = tuple(tokens[text] for text in answers)
        examples.append(
            Example(prompt, answer_ids, np.array(shares), float(weight), place, int(people[place]))
        )
    if not examples:
        raise UserError(
            "None of the rows gives an example: everyone in a cell gave the same answer, or no rationale is there."
        )
    return examples


def _prompts(spec: TrainingSpec, corpus: Corpus, rows: pd.DataFrame) -> list[Prompt]:
    """The prompt of each row, in their order."""
    prompts = {}
    for study, study_rows in rows.groupby("study_id", sort=False):
        texts = {stimulus.stimulus_id: stimulus.stimulus for stimulus in corpus.stimuli(str(study))}
        people = corpus.participants([str(study)]).set_index("participant")
        people = people.loc[people.index.isin(study_rows["participant"])]
        profiles = {n: present(row) for n, row in zip(people.index, people.to_dict("records"), strict=True)}
        keys = zip(study_rows.index, study_rows["participant"], study_rows["stimulus_id"], strict=True)
        for place, person, stimulus_id in keys:
            prompts[place] = render_prompt(profiles[person], texts[stimulus_id], spec.template)
    return [prompts[place] for place in rows.index]


def _targets(spec: TrainingSpec, chosen: TrainingRows, rows: pd.DataFrame) -> Iterator[Target | None]:
    """What each row teaches; None if it teaches nothing."""
    makers: dict[str, Callable[[TrainingSpec, TrainingRows, pd.DataFrame], Iterator[Target | None]]] = {
        "sft": _own_answers,
        "reasoning": _reasoned,
        "dpo": _pairs,
        "distribution": _shares_of_cells,
    }
    return makers[spec.method](spec, chosen, rows)


def _own_answers(_spec: TrainingSpec, _chosen: TrainingRows, rows: pd.DataFrame) -> Iterator[Target | None]:
    for value in rows["value"]:
        yield (_text(value),), (1.0,)


def _reasoned(spec: TrainingSpec, chosen: TrainingRows, rows: pd.DataFrame) -> Iterator[Target | None]:
    table = load_rationales(chosen.corpus, spec.rationales)
    keys = zip(table["study_id"], table["sample_id"], strict=True)
    rationales = dict(zip(keys, table["reasoning"], strict=True))
    for study, sample, value in zip(rows["study_id"], rows["sample_id"], rows["value"], strict=True):
        rationale = rationales.get((study, sample))
        yield ((render_reasoned(rationale) + _text(value),), (1.0,)) if rationale else None


def _pairs(spec: TrainingSpec, chosen: TrainingRows, rows: pd.DataFrame) -> Iterator[Target | None]:
    """The person's answer and a different one that somebody else gave in the same cell, drawn with the seed."""
    answers = _answers(chosen)
    for study, sample, stimulus, value in zip(
        rows["study_id"], rows["sample_id"], rows["stimulus_id"], rows["value"], strict=True
    ):
        given = answers.get((study, stimulus))
        others = given[given != value] if given is not None else np.array([])
        if not len(others):
            yield None
            continue
        # Seeded by the row itself, so that its pair does not depend on which other rows were chosen.
        rng = np.random.default_rng([spec.seed, 4, zlib.crc32(str(study).encode()), int(sample)])
        yield (_text(value), _text(rng.choice(others))), (1.0, 0.0)


def _shares_of_cells(spec: TrainingSpec, chosen: TrainingRows, rows: pd.DataFrame) -> Iterator[Target | None]:
    """The shares of the answers to the same stimulus, shrunk towards those of the outcome in all conditions."""
    answers = _answers(chosen)
    scales = {
        (str(study), stimulus.stimulus_id): stimulus.scale
        for study in chosen.answered["study_id"].unique()
        for stimulus in chosen.corpus.stimuli(str(study))
    }
    pooled = _pooled(chosen.answered, scales)
    targets: dict[tuple[str, int], Target] = {}
    for study, task, part, stimulus in zip(
        rows["study_id"], rows["task_num"], rows["part"], rows["stimulus_id"], strict=True
    ):
        key = (study, stimulus)
        if key not in targets:
            scale = scales[key]
            all_conditions = np.concatenate(pooled[study, task, part, scale])
            targets[key] = _shares(answers[key], all_conditions, scale, spec)
        yield targets[key]


def _shares(answers: Floats, pooled: Floats, scale: Scale, spec: TrainingSpec) -> Target:
    """The shares of `answers`, with `shrinkage` more answers spread as the `pooled` ones are."""
    values = np.union1d(answers, pooled) if spec.shrinkage else np.unique(answers)
    if spec.rps_weight and not scale.is_drawn:  # the ranked probability score needs every step of the scale
        values = np.array(scale.values, dtype=float)
    counts = (answers[:, None] == values).sum(axis=0)
    prior = (pooled[:, None] == values).sum(axis=0)
    shares = (counts + spec.shrinkage * prior / prior.sum()) / (len(answers) + spec.shrinkage)
    return tuple(_text(value) for value in values), tuple(shares.tolist())


def _answers(chosen: TrainingRows) -> dict[tuple[str, int], Floats]:
    """All answers of the training side to each stimulus."""
    groups = chosen.answered.groupby(["study_id", "stimulus_id"])["value"]
    return {key: values.to_numpy() for key, values in groups}  # type: ignore[misc]


def _pooled(
    answered: pd.DataFrame, scales: dict[tuple[str, int], Scale]
) -> dict[tuple[str, int, str, Scale], list[Floats]]:
    """All answers to one item on one scale, from all conditions."""
    pooled: dict[tuple[str, int, str, Scale], list[Floats]] = {}
    for key, values in answered.groupby(["study_id", "task_num", "part", "stimulus_id"])["value"]:
        study, task, part, stimulus = cast(tuple[str, int, str, int], key)
        pooled.setdefault((study, task, part, scales[study, stimulus]), []).append(values.to_numpy())
    return pooled


def _weights(rows: pd.DataFrame, spec: TrainingSpec) -> Floats:
    """The weight of each row [n], 1 on average: equal, or such that cells or studies count equally."""
    if spec.balance == "rows":
        return np.ones(len(rows))
    columns = CELL if spec.balance == "cells" else ["study_id"]
    weights = 1 / rows.groupby(columns)["value"].transform("size").to_numpy(dtype=float)
    return np.asarray(weights / weights.mean())


def _text(value: float) -> str:
    return str(parse_number(float(value)))


def n_target_tokens(examples: Sequence[Example]) -> float:
    """The number of tokens that the loss falls on; a mean over its answers if an example has several."""
    return float(
        sum(
            share * len(answer)
            for example in examples
            for share, answer in zip(example.shares, example.answers, strict=True)
        )
    )
