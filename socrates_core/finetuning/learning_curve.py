"""Learning curves: finetunes that differ only in the share of people they train on, queued here and then compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from socrates_core.errors import UserError
from socrates_core.evaluations.comparison import Comparison
from socrates_core.files import digest
from socrates_core.finetuning.generalisation import Pair, score_rows
from socrates_core.finetuning.spec import TrainingSpec, spec_from_dict
from socrates_core.finetuning.submission import check_name, check_training, queue_training
from socrates_core.jobs.store import Job

SHARES = (0.01, 0.03, 0.1, 0.3, 1.0)  # of the people, by default


def parse_shares(text: str) -> tuple[float, ...]:
    """The shares in (0, 1] that "1,3,10" gives in percent, smallest first. Raises UserError for anything else."""
    try:
        percents = sorted({float(part) for part in text.split(",")})
    except ValueError:
        percents = []
    if not percents or not all(0 < percent <= 100 for percent in percents):
        raise UserError(
            f"The shares {text!r} are not percentages of people. Give numbers above 0 and up to 100, separated by "
            "commas, such as 1,3,10,30,100."
        )
    return tuple(percent / 100 for percent in percents)


def render_shares(shares: Sequence[float]) -> str:
    """The shares in percent, separated by commas, as `parse_shares` takes them."""
    return ",".join(f"{100 * share:g}" for share in shares)


def curve_names(name: str, shares: Sequence[float]) -> list[str]:
    """The names of a curve's finetunes, one per share, such as "mine-10"; without shares there is one, `name`."""
    return [f"{name}-{100 * share:g}" for share in shares] or [name]


def check_names(name: str, shares: Sequence[float]) -> None:
    """Raises UserError if one of the names of `curve_names` is taken."""
    for curve_name in curve_names(name, shares):
        check_name(curve_name)


def submit_curve(spec: TrainingSpec, shares: Sequence[float], *, evaluate: bool = False) -> list[Job]:
    """Queues one finetune per share in (0, 1] of the people, smallest first, named as in `curve_names`.

    Everything else is as in `spec`; `evaluate` is as in `submit_training`. Raises UserError without shares, if a name
    is taken, or as `submit_training` does; nothing is queued then.
    """
    if not shares:
        raise UserError("A learning curve needs a share of the people. Give one or more.")
    shares = sorted(set(shares))
    names = curve_names(spec.name, shares)
    check_names(spec.name, shares)  # quick, so before the rows of any are chosen
    specs = [
        spec_from_dict({**spec.model_dump(), "name": name, "people_share": share}, f"The finetune {name!r}")
        for name, share in zip(names, shares, strict=True)
    ]
    checked = [check_training(curve_spec) for curve_spec in specs]
    return [queue_training(training, evaluate=evaluate) for training in checked]


@dataclass(frozen=True)
class LearningCurve:
    """Two or more pairs with the same base, training and evaluated sample, smallest share of people first."""

    pairs: tuple[Pair, ...]

    @property
    def title(self) -> str:
        """As "starter, sft, seed 0, unseen studies (held)"."""
        last = self.pairs[-1]
        spec = last.finetune.spec
        return f"{last.finetune.base}, {spec.method}, seed {spec.seed}, unseen {last.kind} ({spec.split})"

    def compare(self) -> Comparison:
        """The base, then the finetuned models, on the rows that none of them was trained on."""
        return Comparison([self.pairs[0].base, *(pair.tuned for pair in self.pairs)])


def learning_curves(pairs: Sequence[Pair]) -> list[LearningCurve]:
    """The curves among `pairs`, in their order; of several models that were trained alike, the newest counts."""
    groups: dict[str, dict[float, Pair]] = {}
    for pair in pairs:
        spec = pair.finetune.spec
        training = spec.model_dump(mode="json", exclude={"name", "people_share"})
        key = digest([training, pair.finetune.base, pair.base.id])
        groups.setdefault(key, {}).setdefault(spec.people_share, pair)
    curves = [tuple(by_share[share] for share in sorted(by_share)) for by_share in groups.values()]
    return [LearningCurve(curve) for curve in curves if len(curve) > 1]


def curve_table(curve: LearningCurve, comparison: Comparison) -> pd.DataFrame:
    """The rows of `score_rows` with the share of people and the number of examples of each finetuned model.

    `comparison` is the curve's own. `share` in (0, 1] and `n_examples` are NaN for the base and the baselines;
    `role` is "base", "finetuned" or "baseline".
    """
    rows = list(score_rows(comparison))
    n = len(curve.pairs)
    roles = ["base", *["finetuned"] * n, *["baseline"] * (len(rows) - n - 1)]
    table = pd.DataFrame(rows).assign(role=roles, share=float("nan"), n_examples=float("nan"))
    table.loc[1:n, "share"] = [pair.finetune.spec.people_share for pair in curve.pairs]
    table.loc[1:n, "n_examples"] = [float(pair.finetune.n_examples or "nan") for pair in curve.pairs]
    return table
