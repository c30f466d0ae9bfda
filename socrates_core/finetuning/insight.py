"""What a finetune will read, examined before it starts: decoded examples, their lengths, and the rows per study."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from socrates_core.evaluations.rows import CELL
from socrates_core.finetuning.examples import Example, build_examples, n_target_tokens
from socrates_core.finetuning.rows import TrainingRows, rows_to_validate
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.models.chat import Chat, open_chat
from socrates_core.models.model_folder import context_length, open_folder, read_config

SAMPLED = 2_000
SHOWN = 6
LOSS_ON = {
    "sft": "the answer and the end of the turn",
    "reasoning": "the rationale, the answer and the end of the turn",
    "dpo": "both answers and the ends of their turns",
    "distribution": "the answers of the cell, weighted by their shares, and the end of the turn",
}


@dataclass(frozen=True)
class Lengths:
    """Lengths of `n` examples in tokens, answers and the ends of their turns included."""

    p50: int
    p95: int
    max: int
    mean: float
    n: int


@dataclass(frozen=True)
class ShownExample:
    """An example as its tokens decode: the prompt, which carries no loss, then the targets with their shares.

    Targets include the token that ends the turn. With DPO the first is preferred to the second.
    """

    study_id: str
    prompt_text: str
    targets: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Insight:
    """What a finetune trains on. `per_study` has one row per study: study_id, rows, people, cells.

    `n_too_long` examples are longer than `limit`, the model's context in tokens (None: no limit), and would stop the
    finetune. With more than SAMPLED rows, a fixed sample is measured, and `n_examples` and `n_too_long` are scaled up
    from it. `n_validation` rows are asked in each validation. `reads` is the mean number of places per example at which
    a next token is predicted. `sentence` says what was measured and where the loss falls.
    """

    n_examples: int
    n_rows: int
    n_validation: int
    n_studies: int
    lengths: Lengths
    limit: int | None
    n_too_long: int
    reads: float
    per_study: pd.DataFrame
    first: tuple[ShownExample, ...]
    sentence: str


def look_at(spec: TrainingSpec, rows: TrainingRows) -> Insight:
    """What `spec` trains on, given the rows that were chosen for it.

    Raises UserError if its base model or rationales are missing, or if no row gives an example.
    """
    folder = open_folder(spec.base, weights=False)
    limit = context_length(read_config(folder.base))
    chat = open_chat(folder)
    train = rows.train
    sample = train if len(train) <= SAMPLED else train.sample(SAMPLED, random_state=spec.seed).sort_index()
    sample = sample.reset_index(drop=True)
    examples = build_examples(spec, rows, sample, chat)
    scale = len(train) / len(sample)
    n_too_long = sum(limit is not None and example.n_tokens > limit for example in examples)
    return Insight(
        n_examples=round(len(examples) * scale),
        n_rows=len(train),
        n_validation=len(rows_to_validate(spec, rows)),
        n_studies=train["study_id"].nunique(),
        lengths=measure_lengths(examples),
        limit=limit,
        n_too_long=round(n_too_long * scale),
        reads=sum(map(_n_reads, examples)) / len(examples),
        per_study=_per_study(train),
        first=_shown(examples, sample, chat),
        sentence=_what_was_measured(spec, examples, len(train), len(sample)),
    )


def measure_lengths(examples: Sequence[Example]) -> Lengths:
    """The lengths of at least one example."""
    n_tokens = np.array([example.n_tokens for example in examples])
    middle, high = np.percentile(n_tokens, [50, 95], method="higher")
    return Lengths(int(middle), int(high), int(n_tokens.max()), float(n_tokens.mean()), len(n_tokens))


def _n_reads(example: Example) -> int:
    """The number of beginnings of its answers after which a next token is predicted; shared ones count once."""
    return len({answer[:n] for answer in example.answers for n in range(len(answer))})


def _per_study(rows: pd.DataFrame) -> pd.DataFrame:
    groups = rows.groupby("study_id")
    cells = rows[CELL].drop_duplicates().groupby("study_id").size()
    counts = {"rows": groups.size(), "people": groups["participant"].nunique(), "cells": cells}
    return pd.DataFrame(counts).reset_index()


def _shown(examples: Sequence[Example], rows: pd.DataFrame, chat: Chat) -> tuple[ShownExample, ...]:
    """Up to SHOWN examples, spread evenly."""
    places = np.unique(np.linspace(0, len(examples) - 1, SHOWN).round().astype(int))
    shown = []
    for example in (examples[place] for place in places):
        answers = zip(example.answers, example.shares, strict=True)
        targets = tuple((chat.spell(answer), float(share)) for answer, share in answers)
        study_id = str(rows["study_id"].iloc[example.row])
        shown.append(ShownExample(study_id, chat.spell(example.prompt), targets))
    return tuple(shown)


def _what_was_measured(spec: TrainingSpec, examples: Sequence[Example], n_rows: int, n_sampled: int) -> str:
    measured = f"all {len(examples):,} examples"
    if n_sampled < n_rows:
        measured = f"a fixed sample of {n_sampled:,} of {n_rows:,} rows"
    n_without = n_sampled - len(examples)
    without = f" {n_without:,} rows of these give no example." if n_without else ""
    mean = sum(example.n_tokens for example in examples) / len(examples)
    if spec.method == "dpo":  # it moves both answers, whatever their shares
        n_loss = sum(len(answer) for example in examples for answer in example.answers) / len(examples)
    else:
        n_loss = n_target_tokens(examples) / len(examples)
    return (
        f"Measured on {measured}.{without} The loss falls on {LOSS_ON[spec.method]} alone: "
        f"about {n_loss:.1f} of {mean:,.0f} tokens an example."
    )
