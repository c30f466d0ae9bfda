"""Models compared on exactly the same rows, with people and baselines, without what any of them saw in training."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from socrates_core.analysis.agreement import (
    Agreement,
    EffectPairs,
    PairedByStudy,
    agreement,
    compare_by_study,
)
from socrates_core.analysis.bootstrap import SEED
from socrates_core.analysis.parity import Parity, ParityChange, parity, parity_change
from socrates_core.analysis.respondent_equivalent import Worth, worth_in_respondents
from socrates_core.calibrations import effect_pairs
from socrates_core.corpus.hidden_answers import frozen_studies, hidden_sentence
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.cells import EvaluatedCell, cells_of
from socrates_core.evaluations.effects import effects_table
from socrates_core.evaluations.predictors import Predictor, baselines, model_predictor
from socrates_core.evaluations.results import Evaluation
from socrates_core.evaluations.scores import Summary, score_cells, summarise, summarise_people
from socrates_core.exposure.status import HEADLINE, statuses
from socrates_core.models.seen import seen_of
from socrates_core.populations.bands import group
from socrates_core.verdicts.verdict import Verdict, verdict_for

ROW = ["study_id", "sample_id"]


class Comparison:
    """One or more evaluations of one corpus on the rows that they share, without those of frozen studies.

    Rows that any of the models saw in training are left out for all models; `n_left_out` counts them, and `seen_only`
    is true where nothing is left.
    """

    def __init__(self, evaluations: Sequence[Evaluation]) -> None:
        """Raises UserError if the evaluations are of different corpora or share no row."""
        corpora = sorted({evaluation.spec.corpus for evaluation in evaluations})
        digests = {evaluation.spec.corpus_digest for evaluation in evaluations}
        if len(corpora) > 1 or len(digests) > 1:
            raise UserError(
                f"These evaluations are of different corpora or versions of one ({', '.join(corpora)}). "
                "Compare evaluations on the same corpus."
            )
        self.corpus: Corpus = open_corpus(corpora[0])
        self.evaluations = tuple(evaluations)
        self.names = _names(evaluations)
        shared = _shown(self.corpus, _shared_rows(evaluations))
        verdicts = {
            name: _verdicts(self.corpus, evaluation, shared)
            for name, evaluation in zip(self.names, evaluations, strict=True)
        }
        # A row counts only if no model has seen it: all models are scored on the same rows.
        clean: NDArray[np.bool_] = np.all(
            [statuses_of_model.isin(HEADLINE) for statuses_of_model in verdicts.values()], axis=0
        )
        self.n_rows = len(shared)
        self.n_left_out = int((~clean).sum())
        self.seen_only = not clean.any()
        self.unknown = [
            name
            for name, statuses_of_model in verdicts.items()
            if (statuses_of_model[clean] == "unknown").any()
        ]
        kept = shared.loc[clean, ROW]
        # All in one order, so that row i is the same answer for every model.
        self.rows = [
            evaluation.rows.merge(kept, on=ROW).sort_values(ROW, ignore_index=True)
            for evaluation in evaluations
        ]

    @cached_property
    def cells(self) -> list[list[EvaluatedCell]]:
        """Each model's cells, in the same order."""
        return [cells_of(self.corpus, rows) for rows in self.rows]

    @cached_property
    def predictors(self) -> list[tuple[list[EvaluatedCell], Predictor]]:
        """The models, then the baselines, each with the cells on which it is scored."""
        models = [
            (cells, model_predictor(name, cells)) for name, cells in zip(self.names, self.cells, strict=True)
        ]
        first = self.cells[0]
        return [*models, *((first, baseline) for baseline in baselines(self.corpus, first, seed=SEED))]

    @cached_property
    def summaries(self) -> list[Summary]:
        """Every measure of the models, the baselines, people's halves and the oracle, in that order."""
        predicted = [summarise(cells, predictor) for cells, predictor in self.predictors]
        return [*predicted, *summarise_people(self.cells[0])]

    @cached_property
    def scores(self) -> pd.DataFrame:
        """A row for each predictor and cell with every measure."""
        parts = [
            score_cells(cells, predictor).assign(predictor=predictor.name, kind=predictor.kind)
            for cells, predictor in self.predictors
        ]
        return pd.concat(parts, ignore_index=True)

    @cached_property
    def effects(self) -> pd.DataFrame:
        """A row for each model, item and condition against the reference; see `effects.effects_table`."""
        parts = [
            effects_table(self.corpus, rows).assign(predictor=name)
            for name, rows in zip(self.names, self.rows, strict=True)
        ]
        return pd.concat(parts, ignore_index=True)

    def pairs(self, name: str) -> EffectPairs:
        """One model's effects, paired with people's."""
        return effect_pairs(self.effects[self.effects["predictor"] == name], "study_id")

    @cached_property
    def agreements(self) -> dict[str, Agreement]:
        """How each model's effects agree with people's."""
        return {name: agreement(self.pairs(name)) for name in self.names}

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """What all evaluations of each model say of it, not only those compared here."""
        return {
            name: verdict_for(evaluation.manifest["card"])
            for name, evaluation in zip(self.names, self.evaluations, strict=True)
        }

    @cached_property
    def worths(self) -> dict[str, Worth]:
        """How many respondents a cell each model is worth."""
        return {
            name: worth_in_respondents(
                [cell.where(cell.has_prediction) for cell in cells if cell.is_ordered], seed=SEED
            )
            for name, cells in zip(self.names, self.cells, strict=True)
        }

    def paired(self, measure: str, first: str, second: str, *, lower_is_better: bool) -> PairedByStudy:
        """Two predictors compared on one measure, study by study."""
        tables = {summary.name: summary.by_study for summary in self.summaries}
        of_first, of_second = (
            dict(zip(table.index.astype(str), table[measure].tolist(), strict=True))
            for table in (tables[first], tables[second])
        )
        return compare_by_study(of_first, of_second, lower_is_better=lower_is_better)

    def parity(self, name: str, field: str) -> Parity:
        """The demographic parity difference of one model over the groups of a demographic field."""
        return parity(self._grouped(name, field), seed=SEED)

    def parity_change(self, before: str, after: str, field: str) -> ParityChange:
        """The parity difference of two models, and how it changes from the first to the second."""
        return parity_change(self._grouped(before, field), self._grouped(after, field), seed=SEED)

    def _grouped(self, name: str, field: str) -> list[EvaluatedCell]:
        """A model's cells that can be compared by group, with each person's group of a demographic field."""
        cells = self.cells[self.names.index(name)]
        people = self.corpus.participants(sorted({cell.study_id for cell in cells}))
        groups = {
            study: dict(zip(of_study["participant"], group(of_study[field], field).fillna(""), strict=True))
            for study, of_study in people.groupby("study_id")
        }
        return [
            replace(cell, groups=tuple(groups[cell.study_id][n] for n in cell.participants.tolist()))
            for cell in cells
            if cell.is_ordered and not cell.is_drawn
        ]

    def as_dict(self) -> dict[str, Any]:
        return {
            "verdicts": {name: verdict.as_dict() for name, verdict in self.verdicts.items()},
            "n_rows": self.n_rows,
            "n_left_out_as_seen": self.n_left_out,
            "seen_unknown": self.unknown,
            "table": self.table().to_dict("records"),
            "effects": {
                name: {
                    key: vars(value) if hasattr(value, "low") else value
                    for key, value in vars(result).items()
                }
                for name, result in self.agreements.items()
            },
            "worth_in_respondents": {name: dict(vars(result)) for name, result in self.worths.items()},
        }

    def table(self) -> pd.DataFrame:
        """The headline table: a row for each predictor, with every measure, the ends of its interval, and counts."""
        rows = []
        for summary in self.summaries:
            row: dict[str, Any] = {"name": summary.name, "kind": summary.kind}
            for measure, score in summary.measures.items():
                row |= {measure: score.value, f"{measure}_low": score.low, f"{measure}_high": score.high}
            counts = ("n_studies", "n_cells", "n_skipped", "n_rows", "n_dropped", "n_off_scale")
            rows.append(row | {name: getattr(summary, name) for name in counts} | self._worked(summary.name))
        return pd.DataFrame(rows)

    def _worked(self, name: str) -> dict[str, Any]:
        """What a model's answers took: the seconds of its evaluation, and dollars if a server billed them."""
        manifest = dict(
            zip(self.names, (evaluation.manifest for evaluation in self.evaluations), strict=True)
        ).get(name, {})
        return {"seconds": manifest.get("seconds"), "cost_usd": manifest.get("cost_usd")}


def _names(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """The models' names, numbered where several are the same."""
    plain = [evaluation.model for evaluation in evaluations]
    return tuple(
        name if plain.count(name) == 1 else f"{name} {plain[: place + 1].count(name)}"
        for place, name in enumerate(plain)
    )


def _shared_rows(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    shared = evaluations[0].rows[[*ROW, "condition_num", "task_num", "participant"]]
    for evaluation in evaluations[1:]:
        shared = shared.merge(evaluation.rows[ROW], on=ROW)
    if shared.empty:
        raise UserError(
            "These evaluations share no row. Compare evaluations of the same split, cap and seed."
        )
    return shared.sort_values(ROW, ignore_index=True)


def _shown(corpus: Corpus, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without those of frozen studies. Raises UserError if none is left."""
    frozen = frozen_studies(corpus.path)
    kept = rows[~rows["study_id"].isin(list(frozen))].reset_index(drop=True)
    if kept.empty:
        study = str(rows["study_id"].iloc[0])
        raise UserError(hidden_sentence(study, frozen[study]))
    return kept


def _verdicts(corpus: Corpus, evaluation: Evaluation, rows: pd.DataFrame) -> "pd.Series[str]":
    status: pd.Series[str] = statuses(seen_of(evaluation.spec.model.name), corpus, rows)["status"]
    return status
