"""What a finetune will read, looked at before it starts: its examples decoded, their lengths, and rows a study."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from socrates_core.evaluations.rows import CELL
from socrates_core.finetuning.examples import Example, build_examples, n_target_tokens
from socrates_core.finetuning.rows import Chosen, choose_rows
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.models.chat import Chat, open_chat
from socrates_core.models.model_folder import context_length, open_folder, read_config

SAMPLED = 2_000
SHOWN = 6


@dataclass(frozen=True)
class Lengths:
    """How many tokens the examples take, answers and the ends of their turns included; of `n` examples."""

    p50: int
    p95: int
    max: int
    mean: float
    n: int


@dataclass(frozen=True)
class ShownExample:
    """An example as its tokens decode: the prompt, on which no loss falls, then the targets with their shares.

    Targets are told with the token that ends the turn. Of DPO the first is preferred to the second.
    """

    study_id: str
    prompt_text: str
    targets: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Insight:
    """What a finetune trains on. `per_study` has a row a study: study_id, rows, people, cells.

    `n_too_long` examples are longer than `limit`, the model's context in tokens (None: it has none), and stop a
    finetune. Of more than SAMPLED rows a fixed sample was measured: `n_examples` and `n_too_long` are then projected
    from it. `n_validation` rows are kept back. A next token is predicted at `reads` places of an example, at the mean.
    `told` says in sentences what was measured and where the loss falls.
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
    told: str


def look_at(spec: TrainingSpec, chosen: Chosen | None = None) -> Insight:
    """What `spec` trains on, of the rows that were `chosen` for it where they are at hand.

    Raises UserError where its base model, split or rows are not there, or give no example.
    """
    folder = open_folder(spec.base, weights=False)
    limit, chat, chosen = (
        context_length(read_config(folder.base)),
        open_chat(folder),
        chosen or choose_rows(spec),
    )
    rows = chosen.train
    sample = rows if len(rows) <= SAMPLED else rows.sample(SAMPLED, random_state=spec.seed).sort_index()
    sample = sample.reset_index(drop=True)
    examples, scale = build_examples(spec, chosen, sample, chat), len(rows) / len(sample)
    lengths = measure_lengths(examples)
    n_too_long = sum(limit is not None and each.n_tokens > limit for each in examples)
    return Insight(
        n_examples=round(len(examples) * scale),
        n_rows=len(rows),
        n_validation=len(chosen.validation),
        n_studies=rows["study_id"].nunique(),
        lengths=lengths,
        limit=limit,
        n_too_long=round(n_too_long * scale),
        reads=sum(map(_n_reads, examples)) / len(examples),
        per_study=_per_study(rows),
        first=_shown(examples, sample, chat),
        told=_told(spec, examples, len(rows), len(sample)),
    )


def measure_lengths(examples: Sequence[Example]) -> Lengths:
    """The lengths of at least one example."""
    n_tokens = np.array([each.n_tokens for each in examples])
    middle, high = np.percentile(n_tokens, [50, 95], method="higher")
    return Lengths(int(middle), int(high), int(n_tokens.max()), float(n_tokens.mean()), len(n_tokens))


def _n_reads(example: Example) -> int:
    """After how many beginnings of its answers a next token is predicted; those that answers share count once."""
    return len({answer[:n] for answer in example.answers for n in range(len(answer))})


def _per_study(rows: pd.DataFrame) -> pd.DataFrame:
    groups = rows.groupby("study_id")
    cells = rows[CELL].drop_duplicates().groupby("study_id").size()
    told = {"rows": groups.size(), "people": groups["participant"].nunique(), "cells": cells}
    return pd.DataFrame(told).reset_index()


def _shown(examples: Sequence[Example], rows: pd.DataFrame, chat: Chat) -> tuple[ShownExample, ...]:
    """Up to SHOWN examples in equal distances."""
    places = np.unique(np.linspace(0, len(examples) - 1, SHOWN).round().astype(int))
    return tuple(
        ShownExample(
            str(rows["study_id"].iloc[each.row]),
            chat.spell(each.prompt),
            tuple(
                (chat.spell(answer), float(share))
                for answer, share in zip(each.answers, each.shares, strict=True)
            ),
        )
        for each in (examples[place] for place in places)
    )


def _told(spec: TrainingSpec, examples: Sequence[Example], n_rows: int, n_looked: int) -> str:
    whole = n_looked == n_rows
    measured = (
        f"all {len(examples):,} examples" if whole else f"a fixed sample of {n_looked:,} of {n_rows:,} rows"
    )
    without = (
        "" if len(examples) == n_looked else f" {n_looked - len(examples):,} rows of these give no example."
    )
    mean = sum(each.n_tokens for each in examples) / len(examples)
    parts = {
        "sft": "the answer and the end of the turn",
        "reasoning": "the rationale, the answer and the end of the turn",
        "dpo": "both answers and the ends of their turns",
        "distribution": "the answers of the cell, weighted by their shares, and the end of the turn",
    }
    n_answers = sum(len(answer) for each in examples for answer in each.answers)  # DPO moves both
    n_loss = (n_answers if spec.method == "dpo" else n_target_tokens(examples)) / len(examples)
    return (
        f"Measured on {measured}.{without} The loss falls on {parts[spec.method]} alone: "
        f"about {n_loss:.1f} of {mean:,.0f} tokens an example."
    )
