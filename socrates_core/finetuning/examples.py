"""What a model learns from: a prompt's tokens and the answers behind it with their shares, for every method.

A row of SFT has one answer, its person's; of SFT with reasoning a rationale before it; of distribution training all
answers of the cell; of DPO the person's answer, then another person's. Every answer ends with the end of the turn.
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
from socrates_core.finetuning.rows import Chosen
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.finetuning.tokens import prompt_tokens
from socrates_core.models.chat import Chat
from socrates_core.models.reasoning import render_reasoned
from socrates_core.populations.panel import present
from socrates_core.prompts import render_prompt
from socrates_core.records import Floats, Prompt, Scale, parse_number

Target = tuple[tuple[str, ...], tuple[float, ...]]  # the answers' texts and their shares


@dataclass(frozen=True, eq=False)
class Example:
    """A prompt's tokens [n] with its answers' tokens, end of turn included, and their shares.

    `row` is its place among the rows; `person` the number of its person among all, for those that go together.
    """

    prompt: NDArray[np.int32]
    answers: tuple[tuple[int, ...], ...]
    shares: Floats
    weight: float
    row: int
    person: int

    @property
    def n_tokens(self) -> int:
        """How many tokens it takes to read it alone."""
        return len(self.prompt) + sum(map(len, self.answers))


def build_examples(spec: TrainingSpec, chosen: Chosen, rows: pd.DataFrame, chat: Chat) -> list[Example]:
    """The examples that `spec` makes of `rows` of `chosen`; rows from which it can learn nothing give none.

    Raises UserError where the model has no token that ends a turn, or rationales are missing.
    """
    if chat.end is None:
        raise UserError(
            f"The model {spec.base!r} names no token that ends a turn, so it could not learn to stop. "
            "Give its tokenizer_config.json an 'eos_token'."
        )
    rows = rows.reset_index(drop=True)
    targets = list(_targets(spec, chosen, rows))
    texts = sorted({text for target in targets if target for text in target[0]})
    end = chat.end
    tokens = dict(zip(texts, ((*ids, end) for ids in chat.answer_tokens(texts)), strict=True))
    wanted = [place for place, target in enumerate(targets) if target]
    asked = rows.iloc[wanted]
    prompts = prompt_tokens(
        chosen.corpus, asked, spec.template, chat, lambda: list(_prompts(spec, chosen.corpus, asked))
    )
    people = rows.groupby(["study_id", "participant"]).ngroup().to_numpy()
    weights = _weights(asked, spec)
    examples = []
    for place, prompt, weight in zip(wanted, prompts, weights, strict=True):
        answers, shares = targets[place] or ((), ())
        answer_ids = tuple(tokens[text] for text in answers)
        examples.append(
            Example(prompt, answer_ids, np.array(shares), float(weight), place, int(people[place]))
        )
    if not examples:
        raise UserError(
            "None of the rows gives an example: people of a cell all answered the same, or no rationale is there."
        )
    return examples


def _prompts(spec: TrainingSpec, corpus: Corpus, rows: pd.DataFrame) -> Iterator[Prompt]:
    told = {}
    for study, own in rows.groupby("study_id", sort=False):
        stimuli = {each.stimulus_id: each.stimulus for each in corpus.stimuli(str(study))}
        people = corpus.participants([str(study)]).set_index("participant")
        people = people.loc[people.index.isin(own["participant"])]
        profiles = {n: present(row) for n, row in zip(people.index, people.to_dict("records"), strict=True)}
        for place, person, stimulus in zip(own.index, own["participant"], own["stimulus_id"], strict=True):
            told[place] = render_prompt(profiles[person], stimuli[stimulus], spec.template)
    return (told[place] for place in rows.index)


def _targets(spec: TrainingSpec, chosen: Chosen, rows: pd.DataFrame) -> Iterator[Target | None]:
    """What each row teaches, or None."""
    makers: dict[str, Callable[[TrainingSpec, Chosen, pd.DataFrame], Iterator[Target | None]]] = {
        "sft": _own_answers,
        "reasoning": _reasoned,
        "dpo": _pairs,
        "distribution": _shares_of_cells,
    }
    return makers[spec.method](spec, chosen, rows)


def _own_answers(_spec: TrainingSpec, _chosen: Chosen, rows: pd.DataFrame) -> Iterator[Target | None]:
    for value in rows["value"]:
        yield (_text(value),), (1.0,)


def _reasoned(spec: TrainingSpec, chosen: Chosen, rows: pd.DataFrame) -> Iterator[Target | None]:
    told = load_rationales(chosen.corpus, spec.rationales)
    known = dict(zip(zip(told["study_id"], told["sample_id"], strict=True), told["reasoning"], strict=True))
    for study, sample, value in zip(rows["study_id"], rows["sample_id"], rows["value"], strict=True):
        rationale = known.get((study, sample))
        yield ((render_reasoned(rationale) + _text(value),), (1.0,)) if rationale else None


def _pairs(spec: TrainingSpec, chosen: Chosen, rows: pd.DataFrame) -> Iterator[Target | None]:
    """The person's answer and another one that somebody else gave in the same cell, drawn with the seed."""
    answers = _answers(chosen)
    for study, sample, stimulus, value in zip(
        rows["study_id"], rows["sample_id"], rows["stimulus_id"], rows["value"], strict=True
    ):
        given = answers.get((study, stimulus))
        others = given[given != value] if given is not None else np.array([])
        if not len(others):
            yield None
            continue
        rng = np.random.default_rng([spec.seed, 4, zlib.crc32(str(study).encode()), int(sample)])
        yield (_text(value), _text(rng.choice(others))), (1.0, 0.0)


def _shares_of_cells(spec: TrainingSpec, chosen: Chosen, rows: pd.DataFrame) -> Iterator[Target | None]:
    """The shares of the answers to the same stimulus, towards those of the outcome in all conditions."""
    answers, scales = _answers(chosen), _scales(chosen.corpus, chosen.answered)
    pooled = _pooled(chosen.answered, scales)
    made: dict[tuple[str, int], Target] = {}
    for study, task, part, stimulus in zip(
        rows["study_id"], rows["task_num"], rows["part"], rows["stimulus_id"], strict=True
    ):
        key = (study, stimulus)
        if key not in made:
            scale = scales[key]
            alike = np.concatenate(pooled[study, task, part, scale])
            made[key] = _shares(answers[key], alike, scale, spec)
        yield made[key]


def _shares(own: Floats, pooled: Floats, scale: Scale, spec: TrainingSpec) -> Target:
    values = np.union1d(own, pooled) if spec.shrinkage else np.unique(own)
    if spec.rps_weight and not scale.is_drawn:
        values = np.array(scale.values, dtype=float)
    counts, prior = ((each[:, None] == values).sum(axis=0) for each in (own, pooled))
    shares = (counts + spec.shrinkage * prior / prior.sum()) / (len(own) + spec.shrinkage)
    return tuple(_text(value) for value in values), tuple(shares.tolist())


def _answers(chosen: Chosen) -> dict[tuple[str, int], Floats]:
    """All answers of the training side to each stimulus."""
    groups = chosen.answered.groupby(["study_id", "stimulus_id"])["value"]
    return {key: own.to_numpy() for key, own in groups}  # type: ignore[misc]


def _scales(corpus: Corpus, rows: pd.DataFrame) -> dict[tuple[str, int], Scale]:
    return {
        (str(study), stimulus.stimulus_id): stimulus.scale
        for study in rows["study_id"].unique()
        for stimulus in corpus.stimuli(str(study))
    }


def _pooled(
    answered: pd.DataFrame, scales: dict[tuple[str, int], Scale]
) -> dict[tuple[str, int, str, Scale], list[Floats]]:
    """All answers to one item on one scale, in whatever condition."""
    found: dict[tuple[str, int, str, Scale], list[Floats]] = {}
    for key, own in answered.groupby(["study_id", "task_num", "part", "stimulus_id"])["value"]:
        study, task, part, stimulus = cast(tuple[str, int, str, int], key)
        found.setdefault((study, task, part, scales[study, stimulus]), []).append(own.to_numpy())
    return found


def _weights(rows: pd.DataFrame, spec: TrainingSpec) -> Floats:
    """The weight of each row [n], 1 on average: alike, or such that cells or studies count alike."""
    if spec.balance == "rows":
        return np.ones(len(rows))
    columns = CELL if spec.balance == "cells" else ["study_id"]
    weights = 1 / rows.groupby(columns)["value"].transform("size").to_numpy(dtype=float)
    return np.asarray(weights / weights.mean())


def _text(value: float) -> str:
    return str(parse_number(float(value)))


def n_target_tokens(examples: Sequence[Example]) -> float:
    """How many tokens the loss falls on, expected where an example has several answers."""
    return float(
        sum(
            share * len(answer)
            for each in examples
            for share, answer in zip(each.shares, each.answers, strict=True)
        )
    )
