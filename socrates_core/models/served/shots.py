"""Few-shot examples: other people's answers to the same question, as turns before the question itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.prompts import TEMPLATE, render_prompt
from socrates_core.records import Number, Question, Scale, parse_number

Shot = tuple[str, str]  # the user text of another person's question, and that person's answer


@dataclass(frozen=True)
class Answered:
    """One person's answer to one stimulus."""

    participant: int
    demographics: Mapping[str, str | int]
    response: Number


def pick_shots(
    answered: Sequence[Answered],
    stimulus: str,
    scale: Scale,
    *,
    participant: int,
    held_out: Collection[int],
    k: int,
    seed: int,
    template: str = TEMPLATE,
) -> tuple[Shot, ...]:
    """`k` answers of other people to `stimulus`, drawn by `seed` and `participant`, each as (user text, answer).

    Never from the `participant` who is asked, nor from anyone in `held_out`; answers off the `scale` are skipped. The
    order of `answered` does not matter. Raises UserError if fewer than `k` people are left.
    """
    allowed = set(scale.values)
    pool = sorted(
        (
            other
            for other in answered
            if other.participant != participant
            and other.participant not in held_out
            and (scale.is_open or other.response in allowed)
        ),
        key=lambda other: other.participant,
    )
    if len(pool) < k:
        raise UserError(
            f"Only {len(pool)} other people have answers to show, but {k} examples are requested. "
            f"Ask for at most {len(pool)}, or choose a split that holds out fewer."
        )
    draw = np.random.default_rng(int(digest([seed, participant, stimulus])[:16], 16))
    chosen = (pool[place] for place in draw.choice(len(pool), size=k, replace=False))
    return tuple(
        (render_prompt(other.demographics, stimulus, template).user, str(parse_number(other.response)))
        for other in chosen
    )


def with_shots(question: Question, shots: Sequence[Shot]) -> Question:
    """The question with examples before it, in their order."""
    return replace(question, prompt=replace(question.prompt, shots=tuple(shots)))
