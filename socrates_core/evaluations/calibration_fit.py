"""Fits each model's calibration whenever one of its evaluations ends, and keeps it as JSON.

It is fitted on the studies of the model's complete evaluations that the model has not seen. A study of which it saw
any part, even if only other conditions or other participants, is left out as a whole.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.calibration import (
    NoCalibration,
)
from socrates_core.analysis.held_out import errors_by_study
from socrates_core.analysis.summary import mean_distribution, moments
from socrates_core.calibrations import (
    NEVER,
    VERSION,
    as_json,
    calibration_for,
    calibration_path,
    effect_pairs,
    fit_and_test,
)
from socrates_core.corpus.arrivals import is_same_study, texts_of_studies
from socrates_core.corpus.hidden_answers import frozen_studies
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import corpus_digest
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.cells import cells_of
from socrates_core.evaluations.effects import effects_table, error_covariances
from socrates_core.evaluations.results import Evaluation, load_evaluation
from socrates_core.evaluations.share_scores import COLUMNS as SHARE_COLUMNS
from socrates_core.evaluations.share_scores import share_scores
from socrates_core.evaluations.spec import EVALUATIONS
from socrates_core.exposure.status import HEADLINE, Status, statuses
from socrates_core.files import digest, write_json
from socrates_core.jobs.store import now
from socrates_core.models.seen import seen_of
from socrates_core.records import Floats

KEPT = ["study", "task_num", "part", "condition_num", "n_predicted", "human", "human_se", "predicted"]


def keep_calibration(fingerprint: str) -> str:
    """Fits and keeps the calibration of the model with this fingerprint; returns the result as a sentence.

    Several evaluations add up, of all corpora. A study that several have is taken from the one that asked the most
    people about it; so is one that two corpora have under two names.
    """
    parts = [
        part
        for evaluation_id in EVALUATIONS.ids()
        if (part := _measured(evaluation_id, fingerprint)) is not None
    ]
    if not parts:
        return NEVER
    copies = _copies(pd.concat([part.shares for part in parts]).groupby("study")["n_asked"].max())
    parts = [part.without(copies) for part in parts]
    effects, errors = _together(parts)
    outcome = fit_and_test(effect_pairs(effects, errors=errors))
    fit, held_out = (outcome, None) if isinstance(outcome, NoCalibration) else outcome
    record = {
        "format": "socrates-calibration",
        "version": VERSION,
        "fingerprint": fingerprint,
        "card": parts[0].card,
        "written": now(),
        "evaluations": sorted(set(effects["evaluation"])),
        "unknown": bool(effects["unknown"].any()),
        "calibration": asdict(fit),
        "held_out": asdict(held_out) if held_out else None,
        "effects": effects[KEPT].to_dict("list"),
        "errors": errors,
        # Kept, since leaving each study out takes seconds, and every page shows the verdict.
        "effect_errors": errors_by_study(effect_pairs(effects, errors=errors)),
        # Ids come newest first, so in reverse the newest evaluation of a study has the last word.
        "sd_ratios": {study: ratio for part in reversed(parts) for study, ratio in part.sd_ratios.items()},
        "shares": _of_most_asked([part.shares for part in parts]).to_dict("list"),
    }
    plain = as_json(record)
    write_json(calibration_path(fingerprint), {**plain, "digest": digest(plain)})
    return str(calibration_for(fingerprint))


def _copies(n_asked: "pd.Series[int]") -> set[str]:
    """Which of the studies ("corpus/study_id", with how many people were asked) another corpus has with more asked."""
    texts = {
        f"{corpus}/{study}": of_study
        for corpus in {name.partition("/")[0] for name in map(str, n_asked.index)}
        for study, of_study in texts_of_studies(open_corpus(corpus).path).items()
    }
    kept: list[str] = []
    copies = set()
    for name in map(str, n_asked.sort_values(ascending=False, kind="stable").index):
        corpus = name.partition("/")[0]
        others = [other for other in kept if other.partition("/")[0] != corpus]
        if any(is_same_study(texts[name], texts[other]) for other in others):
            copies.add(name)
        else:
            kept.append(name)
    return copies


def _together(parts: Sequence["_Measured"]) -> tuple[pd.DataFrame, dict[str, Floats]]:
    """The effects of every study, from the evaluation that asked the most people about it, with their errors."""
    together = pd.concat([part.effects.assign(source=at) for at, part in enumerate(parts)], ignore_index=True)
    n_asked = together.groupby(["study", "source"])["n_predicted"].sum().reset_index()
    most = n_asked.sort_values("n_predicted", ascending=False, kind="stable").drop_duplicates("study")
    kept = together.merge(most[["study", "source"]]).sort_values("study", kind="stable", ignore_index=True)
    sources = dict(zip(most["study"], most["source"], strict=True))
    return kept, {study: parts[sources[study]].errors[study] for study in kept["study"].unique()}


def _of_most_asked(shares: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The scores of every study, from the evaluation that asked the most people in one of its cells."""
    together = pd.concat([table.assign(part=at) for at, table in enumerate(shares)], ignore_index=True)
    most = together.groupby(["study", "part"])["n_asked"].max().reset_index()
    kept = most.sort_values("n_asked", ascending=False, kind="stable").drop_duplicates("study")
    return together.merge(kept[["study", "part"]])[SHARE_COLUMNS].sort_values(
        ["study", "kind"], ignore_index=True
    )


@dataclass(frozen=True)
class _Measured:
    """What one evaluation measured in the studies that its model has not seen."""

    card: Mapping[str, Any]
    effects: pd.DataFrame
    errors: Mapping[str, Floats]
    shares: pd.DataFrame
    sd_ratios: dict[str, float]

    def without(self, studies: Collection[str]) -> "_Measured":
        """The same without these studies ("corpus/study_id")."""
        return replace(
            self,
            effects=self.effects[~self.effects["study"].isin(studies)],
            shares=self.shares[~self.shares["study"].isin(studies)],
            sd_ratios={study: ratio for study, ratio in self.sd_ratios.items() if study not in studies},
        )


def _measured(evaluation_id: str, fingerprint: str) -> _Measured | None:
    """What an evaluation measured in studies that its model has not seen.

    None without such studies, for another model's or an unfinished evaluation, where its prompts show other people's
    answers (those of drafts do not), and where it or its corpus is damaged, gone or has changed.
    """
    try:
        evaluation = load_evaluation(evaluation_id)
        other = evaluation.manifest.get("fingerprint") != fingerprint or evaluation.spec.shots > 0
        if other or evaluation.partial:
            return None
        corpus = open_corpus(evaluation.spec.corpus)
        clean = _unseen(corpus, evaluation)
    except UserError:
        return None
    if corpus_digest(corpus) != evaluation.spec.corpus_digest or not clean:
        return None
    rows = evaluation.rows[evaluation.rows["study_id"].isin(clean)]
    effects = effects_table(corpus, rows)
    errors = {
        f"{corpus.name}/{study}": covariance
        for study, covariance in error_covariances(corpus, rows, effects).items()
    }
    effects = effects.assign(
        study=f"{corpus.name}/" + effects["study_id"],
        evaluation=evaluation_id,
        unknown=effects["study_id"].map(clean) == "unknown",
    )
    return _Measured(
        evaluation.manifest["card"], effects, errors, share_scores(corpus, rows), _sd_ratios(corpus, rows)
    )


def _unseen(corpus: Corpus, evaluation: Evaluation) -> dict[str, Status]:
    """The status of each of the evaluation's studies that may count. Frozen studies may not."""
    studies = sorted(set(evaluation.rows["study_id"]) - frozen_studies(corpus.path).keys())
    status_by_study = statuses(
        seen_of(evaluation.spec.model.name), corpus, pd.DataFrame({"study_id": studies})
    )["status"]
    return {
        study: status for study, status in zip(studies, status_by_study, strict=True) if status in HEADLINE
    }


def _sd_ratios(corpus: Corpus, rows: pd.DataFrame) -> dict[str, float]:
    """For each study, the spread of predicted answers over that of people's: the root of the ratio of variances.

    Variances inside cells, in shares of each scale, are added up over a study's cells before they are divided, so
    that a cell of a few people counts little.
    """
    variances_by_study: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for cell in cells_of(corpus, rows):
        answered = cell.human[np.isfinite(cell.human) & np.isfinite(cell.probabilities).all(axis=1)]
        if cell.is_ordered and not cell.is_drawn and answered.size > 1:
            predicted = moments(mean_distribution(cell.probabilities), cell.values).sd
            spans = float(np.ptp(cell.values)) ** 2 or math.nan
            variances = predicted**2 / spans, float(answered.var(ddof=1)) / spans
            variances_by_study[f"{corpus.name}/{cell.study_id}"].append(variances)
    sums = {study: np.nansum(pairs, axis=0) for study, pairs in variances_by_study.items()}
    return {
        study: float(np.sqrt(predicted_sum / human_sum))
        for study, (predicted_sum, human_sum) in sums.items()
        if human_sum > 0 < predicted_sum
    }
