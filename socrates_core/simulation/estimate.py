"""How much a run will compute and how long that takes here, from what this machine did before."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from socrates_core.drafts.spec import Draft
from socrates_core.files import read_json, write_json
from socrates_core.panels import Person
from socrates_core.responders import context_limit, count_tokens
from socrates_core.settings import folder
from socrates_core.simulation.spec import ModelRequest, questions

SAMPLED = 40


@dataclass(frozen=True)
class Estimate:
    """`n_cells` answers of about `mean_tokens` prompt tokens (the longest of a sample: `max_tokens`).

    `seconds` is None until this machine has run the model once; `limit` is the model's context or None.
    """

    n_people: int
    n_cells: int
    mean_tokens: float
    max_tokens: int
    limit: int | None
    seconds: float | None


def estimate(draft: Draft, people: Sequence[Person], model: ModelRequest) -> Estimate:
    """What a run will take, its prompt lengths measured on a sample of its people.

    Raises UserError where the model is unknown.
    """
    n_cells = len(people) * len(draft.conditions) * len(draft.outcomes)
    step = max(1, n_cells // SAMPLED)
    sample = islice(questions(draft, tuple(people)), 0, None, step)
    tokens = [count_tokens(model.name, asked.question.prompt) for asked in sample]
    mean = sum(tokens) / len(tokens) if tokens else 0.0
    speed = read_speed(model)
    return Estimate(
        n_people=len(people),
        n_cells=n_cells,
        mean_tokens=mean,
        max_tokens=max(tokens, default=0),
        limit=context_limit(model.name),
        seconds=n_cells * mean / speed if speed else None,
    )


def record_speed(model: ModelRequest, *, n_tokens: int, seconds: float) -> None:
    """Remembers prompt tokens a second; short runs say little and are passed over."""
    if n_tokens >= 1000 and seconds > 0:
        path = folder("models") / "speeds.json"
        known = read_json(path) if path.exists() else {}
        write_json(path, {**known, _speed_key(model): n_tokens / seconds})


def read_speed(model: ModelRequest) -> float | None:
    """Prompt tokens a second of this model's last run here, or None."""
    path = folder("models") / "speeds.json"
    return read_json(path).get(_speed_key(model)) if path.exists() else None


def _speed_key(model: ModelRequest) -> str:
    return f"{model.name} {model.precision} {model.decoding}"
