"""What each model's predicted effects are worth: its calibration, kept as JSON whenever one of its evaluations ends.

Fitted on all studies of the model's complete evaluations that it has not seen. A study of which it saw any
part, if only other conditions or other participants, stays out whole.
"""

import math
from collections import defaultdict
from dataclasses import asdict

import numpy as np
import pandas as pd

from socrates_core.analysis.calibration import (
    NoCalibration,
)
from socrates_core.analysis.summary import mean_distribution, moments
from socrates_core.calibrations import NEVER, VERSION, _fit, _pairs, _path, _plain, calibration_for
from socrates_core.corpus.hidden_answers import frozen_studies
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import corpus_digest
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.cells import cells_of
from socrates_core.evaluations.effects import effects_table
from socrates_core.evaluations.results import Evaluation, load_evaluation
from socrates_core.evaluations.spec import EVALUATIONS
from socrates_core.exposure.status import HEADLINE, Status, statuses
from socrates_core.files import digest, write_json
from socrates_core.jobs.store import now
from socrates_core.models.seen import seen_of

EFFECT = ["study", "task_num", "part", "condition_num"]
KEPT = ["study", "task_num", "condition_num", "n_predicted", "human", "human_se", "predicted"]


def keep_calibration(fingerprint: str) -> str:
    """Fits and keeps the calibration of the model with this fingerprint; a sentence about what came of it.

    Several evaluations add up; an effect that several have is taken from the one with the most people asked.
    """
    parts = [part for each in EVALUATIONS.ids() if (part := _measured(each, fingerprint)) is not None]
    if not parts:
        return NEVER
    effects = pd.concat([part for part, _ in parts]).sort_values(
        "n_predicted", ascending=False, kind="stable"
    )
    effects = effects.drop_duplicates(EFFECT).sort_values(EFFECT, ignore_index=True)
    found = _fit(_pairs(effects))
    fit, held_out = (found, None) if isinstance(found, NoCalibration) else found
    told = {
        "format": "socrates-calibration",
        "version": VERSION,
        "fingerprint": fingerprint,
        "written": now(),
        "evaluations": sorted(set(effects["evaluation"])),
        "unknown": bool(effects["unknown"].any()),
        "calibration": asdict(fit),
        "held_out": asdict(held_out) if held_out else None,
        "effects": effects[KEPT].to_dict("list"),
        "sd_ratios": {study: ratio for _, own in reversed(parts) for study, ratio in own.items()},
    }
    plain = _plain(told)
    write_json(_path(fingerprint), {**plain, "digest": digest(plain)})
    return str(calibration_for(fingerprint))


def _measured(evaluation_id: str, fingerprint: str) -> tuple[pd.DataFrame, dict[str, float]] | None:
    """An evaluation's effects in studies that its model has not seen, with the SD ratio of each study.

    None where there are none, it is another model's or unfinished, its prompts show other people's answers (those of
    drafts do not), or it or its corpus is damaged, gone or another one by now.
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
    effects = effects.assign(
        study=f"{corpus.name}/" + effects["study_id"],
        evaluation=evaluation_id,
        unknown=effects["study_id"].map(clean) == "unknown",
    )
    return effects, _sd_ratios(corpus, rows)


def _unseen(corpus: Corpus, evaluation: Evaluation) -> dict[str, Status]:
    """The evaluation's studies that may count, with their status; frozen ones may not."""
    shown = sorted(set(evaluation.rows["study_id"]) - frozen_studies(corpus.path).keys())
    told = statuses(seen_of(evaluation.spec.model.name), corpus, pd.DataFrame({"study_id": shown}))["status"]
    return {study: verdict for study, verdict in zip(shown, told, strict=True) if verdict in HEADLINE}


def _sd_ratios(corpus: Corpus, rows: pd.DataFrame) -> dict[str, float]:
    """By study, how many times as far as people's the predicted answers spread: the root of the ratio of variances.

    Variances inside cells, in shares of each scale, are added up over a study's cells before they are divided, so that
    cells of a few people do not count for more than they know.
    """
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for cell in cells_of(corpus, rows):
        answered = cell.human[np.isfinite(cell.human) & np.isfinite(cell.probabilities).all(axis=1)]
        if cell.is_ordered and not cell.is_drawn and answered.size > 1:
            predicted = moments(mean_distribution(cell.probabilities), cell.values).sd
            spans = float(np.ptp(cell.values)) ** 2 or math.nan
            variances = predicted**2 / spans, float(answered.var(ddof=1)) / spans
            found[f"{corpus.name}/{cell.study_id}"].append(variances)
    sums = {study: np.nansum(pairs, axis=0) for study, pairs in found.items()}
    return {
        study: float(np.sqrt(ours / theirs)) for study, (ours, theirs) in sums.items() if theirs > 0 < ours
    }
