"""How much a run computes and how long that takes, judged by earlier runs on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from socrates_core.asking.request import ModelRequest
from socrates_core.asking.resources import MEASURED, Resources, resources
from socrates_core.asking.speed import SAMPLED, expected_seconds, read_speeds
from socrates_core.jobs.progress import describe_seconds
from socrates_core.models import context_limit, count_tokens, prompt_template
from socrates_core.models.served.elicit import estimate_usd
from socrates_core.personas import Person
from socrates_core.projects.run_spec import questions
from socrates_core.surveys.draft import Draft


@dataclass(frozen=True)
class Estimate:
    """`n_cells` answers to `n_distinct` different prompts of about `mean_tokens` tokens.

    `max_tokens` is the length of the longest prompt, `limit` the model's context, None without one. `seconds` comes
    from its last runs here, before the first from `resources`, and is None if neither is known; the shortest and
    longest time at the speeds of several runs may be None. `usd` is roughly what a served model bills, None for other
    models and without a price. `resources` are those of a model on this machine, None for others. Cached answers take
    less.
    """

    n_people: int
    n_cells: int
    n_distinct: int
    mean_tokens: float
    max_tokens: int
    limit: int | None
    seconds: float | None
    usd: float | None = None
    seconds_range: tuple[float, float] | None = None
    resources: Resources | None = None


def estimate(draft: Draft, people: Sequence[Person], model: ModelRequest) -> Estimate:
    """What a run will take, its prompt lengths measured on a sample of its people.

    May probe the model's speed for some seconds. Raises UserError where the model is unknown or cannot fit here.
    """
    needed = resources(model)
    if needed is not None:
        model = replace(model, precision=needed.precision)
    distinct = {cell.question: None for cell in questions(draft, tuple(people), prompt_template(model.name))}
    n_cells = len(people) * len(draft.conditions) * len(draft.outcomes)
    # Sampled evenly by length. The longest is always measured: it decides whether prompts fit into the context.
    longest = sorted(distinct, key=lambda question: len(question.prompt.user))
    step = max(1, len(longest) // SAMPLED)
    tokens = [count_tokens(model.name, question.prompt) for question in [*longest[::step], *longest[-1:]]]
    mean = sum(tokens) / len(tokens) if tokens else 0.0
    speeds = read_speeds(model)
    n_tokens = len(distinct) * mean
    return Estimate(
        n_people=len(people),
        n_cells=n_cells,
        n_distinct=len(distinct),
        mean_tokens=mean,
        max_tokens=max(tokens, default=0),
        limit=context_limit(model.name),
        seconds=_seconds(model, needed, n_tokens),
        seconds_range=(n_tokens / max(speeds), n_tokens / min(speeds)) if len(speeds) > 1 else None,
        usd=estimate_usd(model.name, model.service, model.decoding, distinct) if model.service else None,
        resources=needed,
    )


def _seconds(model: ModelRequest, needed: Resources | None, n_tokens: float) -> float | None:
    if needed is None:
        return expected_seconds(model, n_tokens)
    return n_tokens / needed.tokens_per_second if needed.tokens_per_second else None


def describe_estimate(cost: Estimate) -> str:
    """How long it takes, with the range over the last runs here."""
    if cost.seconds is None:
        return "not known before its first run here"
    shortest, longest = cost.seconds_range or (cost.seconds, cost.seconds)
    usual, low, high = map(describe_seconds, (cost.seconds, shortest, longest))
    if low != high:
        return f"{usual} ({low} to {high}, as fast as its last runs here)"
    is_rough = cost.resources is not None and cost.resources.basis != MEASURED
    return f"roughly {usual}, {cost.resources.basis}" if cost.resources and is_rough else usual


def describe_needs(cost: Estimate) -> str:
    """Precision, memory and download of a model on this machine, as a sentence; empty for other models."""
    return cost.resources.sentence if cost.resources else ""
