"""Learning curves: finetunes that differ only in the share of people they were trained on, beside their base."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from socrates_core.evaluations.comparison import Comparison
from socrates_core.files import digest
from socrates_core.finetuning.generalisation import Pair, score_rows


@dataclass(frozen=True)
class LearningCurve:
    """Two or more pairs of one base and one way of training, evaluated on the same sample, the smallest share first."""

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
    """The curves among `pairs`, in their order; of models that were trained the same way the newest counts."""
    found: dict[str, dict[float, Pair]] = {}
    for pair in pairs:
        spec = pair.finetune.spec
        trained = spec.model_dump(mode="json", exclude={"name", "people_share"})
        same = digest([trained, pair.finetune.base, pair.base.id])
        found.setdefault(same, {}).setdefault(spec.people_share, pair)
    shared = [[by_share[share] for share in sorted(by_share)] for by_share in found.values()]
    return [LearningCurve(tuple(own)) for own in shared if len(own) > 1]


def curve_table(curve: LearningCurve, comparison: Comparison) -> pd.DataFrame:
    """The rows of `score_rows` with the share of people and the number of examples behind each finetuned model.

    `comparison` is the curve's own. `share` in (0, 1] and `n_examples` are NaN for the base and the baselines;
    `role` is "base", "finetuned" or "baseline".
    """
    rows = list(score_rows(comparison))
    n = len(curve.pairs)
    roles = ["base", *["finetuned"] * n, *["baseline"] * (len(rows) - n - 1)]
    told = pd.DataFrame(rows).assign(role=roles, share=float("nan"), n_examples=float("nan"))
    told.loc[1:n, "share"] = [pair.finetune.spec.people_share for pair in curve.pairs]
    told.loc[1:n, "n_examples"] = [float(pair.finetune.n_examples or "nan") for pair in curve.pairs]
    return told
