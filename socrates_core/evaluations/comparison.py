"""Models compared on exactly the same cells, with people and baselines, without what any of them saw in training."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
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
from socrates_core.analysis.effects import CONFIDENCE, holm
from socrates_core.analysis.ladder import Ladder, distribution_fit, floors, ladder
from socrates_core.analysis.parity import Parity, ParityChange, parity, parity_change
from socrates_core.analysis.respondent_equivalent import Worth, worth_in_respondents
from socrates_core.calibrations import effect_pairs
from socrates_core.corpus.hidden_answers import frozen_studies, hidden_sentence
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.evaluations.cells import EvaluatedCell, cells_of, everybody_in
from socrates_core.evaluations.effects import effects_table
from socrates_core.evaluations.predictors import Predictor, baselines, model_predictor
from socrates_core.evaluations.results import Evaluation
from socrates_core.evaluations.rows import CELL
from socrates_core.evaluations.scores import JUDGED, Summary, score_cells, summarise, summarise_people
from socrates_core.exposure.status import HEADLINE, statuses
from socrates_core.models.seen import seen_of
from socrates_core.populations.bands import group
from socrates_core.verdicts.verdict import Verdict, verdict_for

ROW = ["study_id", "sample_id"]


@dataclass(frozen=True)
class Duel:
    """Two predictors on one measure over the same studies, `first` minus `second`.

    `p_holm` is corrected for all pairs and all of JUDGED in the comparison; NaN without an interval.
    """

    measure: str
    first: str
    second: str
    paired: PairedByStudy
    p_holm: float
    lower_is_better: bool

    @property
    def winner(self) -> str:
        """Who is better after correction; "" where that cannot be told."""
        if not self.p_holm < 1 - CONFIDENCE:
            return ""
        return self.first if (self.paired.difference.value < 0) == self.lower_is_better else self.second

    def as_dict(self) -> dict[str, Any]:
        difference = self.paired.difference
        return {
            "measure": self.measure,
            "first": self.first,
            "second": self.second,
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
            "p": self.paired.p,
            "p_holm": self.p_holm,
            "better": self.winner or None,
            "n_studies": self.paired.n_studies,
        }


@dataclass(frozen=True)
class Source:
    """What a comparison takes from one corpus: an evaluation and its rows for each model, in the same order.

    `everybody` has the answers of all people in the cells of `rows`, without those that any model saw in training.
    Of `n_rows` shared rows `n_seen` of each study were seen by a model, and `n_unanswered` are of cells that some
    model did not answer at all. `unknown` names models whose training data are not known.
    """

    corpus: Corpus
    evaluations: tuple[Evaluation, ...]
    rows: tuple[pd.DataFrame, ...]
    everybody: pd.DataFrame
    n_rows: int
    n_seen: Counter[str]
    n_unanswered: Counter[str]
    unknown: tuple[str, ...]


class Comparison:
    """Evaluations of one or more models on the rows that they share, without those of frozen studies.

    Each model has one evaluation of each corpus; with several corpora a study is called "corpus/study". Rows that any
    of the models saw in training are left out for all models, and so are cells that one of them did not answer, so
    that every row of a table is scored on the same cells. `n_left_out` counts the first, `n_unanswered` the rows of
    the second, and `seen_only` is true where nothing is left.
    """

    def __init__(self, evaluations: Sequence[Evaluation]) -> None:
        """Raises UserError if the evaluations cannot be joined or share no row."""
        self.evaluations = tuple(evaluations)
        self.names, by_corpus = _arranged(evaluations)
        self.sources = tuple(_source(self.names, of_corpus) for of_corpus in by_corpus)
        self.n_rows = sum(source.n_rows for source in self.sources)
        self.n_left_out = sum(source.n_seen.total() for source in self.sources)
        self.n_unanswered = sum(source.n_unanswered.total() for source in self.sources)
        self.seen_only = self.n_rows == self.n_left_out
        self.unknown = [name for name in self.names if any(name in source.unknown for source in self.sources)]
        self.rows = [
            pd.concat([self._named(source, source.rows[model]) for source in self.sources], ignore_index=True)
            for model in range(len(self.names))
        ]

    @property
    def corpus_names(self) -> str:
        return ", ".join(source.corpus.name for source in self.sources)

    def evaluations_of(self, name: str) -> list[Evaluation]:
        """One model's evaluations, one for each corpus."""
        return [source.evaluations[self.names.index(name)] for source in self.sources]

    def find(self, study: str) -> tuple[Source, str]:
        """The source of a study as it is called here, and its id there."""
        if len(self.sources) == 1:
            return self.sources[0], study
        corpus, _, study_id = study.partition("/")
        return next(source for source in self.sources if source.corpus.name == corpus), study_id

    def study_name(self, source: Source, study_id: str) -> str:
        """What a study is called here."""
        return study_id if len(self.sources) == 1 else f"{source.corpus.name}/{study_id}"

    @cached_property
    def titles(self) -> dict[str, str]:
        """The title of every study of the corpora."""
        return {
            self.study_name(source, study_id): title
            for source in self.sources
            for study_id, title in source.corpus.studies()[["study_id", "title"]].itertuples(index=False)
        }

    def participants(self) -> pd.DataFrame:
        """The people of the compared studies with their demographics, as `Corpus.participants`."""
        parts = [
            self._named(
                source, source.corpus.participants(sorted(source.rows[0]["study_id"].unique().tolist()))
            )
            for source in self.sources
            if len(source.rows[0])
        ]
        return pd.concat(parts, ignore_index=True)

    def _named(self, source: Source, table: pd.DataFrame) -> pd.DataFrame:
        if len(self.sources) == 1:
            return table
        return table.assign(study_id=f"{source.corpus.name}/" + table["study_id"].astype(str))

    @cached_property
    def cells(self) -> list[list[EvaluatedCell]]:
        """Each model's cells, in the same order."""
        return [
            [
                replace(cell, study_id=self.study_name(source, cell.study_id))
                for source in self.sources
                for cell in cells_of(source.corpus, source.rows[model], source.everybody)
            ]
            for model in range(len(self.names))
        ]

    @cached_property
    def predictors(self) -> list[tuple[list[EvaluatedCell], Predictor]]:
        """The models, then the baselines, each with the cells on which it is scored."""
        models = [
            (cells, model_predictor(name, cells)) for name, cells in zip(self.names, self.cells, strict=True)
        ]
        first = self.cells[0]
        return [
            *models,
            *((first, baseline) for baseline in baselines(self.participants(), first, seed=SEED)),
        ]

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
            self._named(source, effects_table(source.corpus, rows)).assign(predictor=name)
            for source in self.sources
            for name, rows in zip(self.names, source.rows, strict=True)
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
    def ladder(self) -> list[Ladder]:
        """The field's measures of effects: a row for each model, then for the floors, of the first one's effects."""
        rows = []
        for name in self.names:
            table = self.effects[self.effects["predictor"] == name]
            human, error, predicted = (
                table[column].to_numpy(dtype=float) for column in ("human", "human_se", "predicted")
            )
            outcomes = (
                table["study_id"] + "/" + table["task_num"].astype(str) + "/" + table["part"]
            ).to_numpy(dtype=str)
            rows.append(ladder(name, human, error, predicted, outcomes))
            if name == self.names[0]:
                lowest = floors(human, error, outcomes)
        return [*rows, *lowest]

    @cached_property
    def shapes(self) -> dict[str, dict[str, float]]:
        """How each model's distributions differ from people's in shape: means over cells, then studies."""
        shapes = {}
        for name, cells in zip(self.names, self.cells, strict=True):
            rows = [
                {"study": cell.study_id, **vars(distribution_fit(cell.values, cell.predicted, cell.counts))}
                for cell in cells
                if cell.is_ordered
                and not cell.is_drawn
                and cell.counts.sum() > 1
                and cell.predicted.sum() > 0
            ]
            table = pd.DataFrame(rows, columns=["study", "variance_ratio", "overlap", "ks"])
            shapes[name] = {
                str(key): float(value) for key, value in table.groupby("study").mean().mean().items()
            }
        return shapes

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """What all evaluations of each model say about it, of every corpus and not only those compared here."""
        return {
            name: verdict_for(evaluation.manifest["card"])
            for name, evaluation in zip(self.names, self.sources[0].evaluations, strict=True)
        }

    @cached_property
    def worths(self) -> dict[str, Worth]:
        """How many respondents a cell each model is worth."""
        return {
            name: worth_in_respondents([cell.of_everybody() for cell in cells if cell.is_ordered], seed=SEED)
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

    @property
    def pairs_of_predictors(self) -> list[tuple[str, str]]:
        """Every two models, and every model with the uniform guess."""
        return [*combinations(self.names, 2), *((name, "uniform") for name in self.names)]

    @cached_property
    def duels(self) -> list[Duel]:
        """Every pair on every measure of JUDGED, corrected together."""
        fought = [
            (measure, first, second, lower, self.paired(measure, first, second, lower_is_better=lower))
            for measure, lower in JUDGED.items()
            for first, second in self.pairs_of_predictors
        ]
        corrected = holm(np.array([paired.p for *_, paired in fought])).tolist()
        return [
            Duel(measure, first, second, paired, p, lower)
            for (measure, first, second, lower, paired), p in zip(fought, corrected, strict=True)
        ]

    def parity(self, name: str, field: str) -> Parity:
        """The demographic parity difference of one model over the groups of a demographic field."""
        return parity(self._grouped(name, field), seed=SEED)

    def parity_change(self, before: str, after: str, field: str) -> ParityChange:
        """The parity difference of two models, and how it changes from the first to the second."""
        return parity_change(self._grouped(before, field), self._grouped(after, field), seed=SEED)

    def _grouped(self, name: str, field: str) -> list[EvaluatedCell]:
        """A model's cells that can be compared by group, with each person's group of a demographic field."""
        cells = self.cells[self.names.index(name)]
        people = self.participants()
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
            "n_left_out_as_unanswered": self.n_unanswered,
            "seen_unknown": self.unknown,
            "corpora": [source.corpus.name for source in self.sources],
            "table": self.table().to_dict("records"),
            "pairs": [duel.as_dict() for duel in self.duels],
            "effects": {
                name: {
                    key: vars(value) if hasattr(value, "low") else value
                    for key, value in vars(result).items()
                }
                for name, result in self.agreements.items()
            },
            "ladder": [vars(row) for row in self.ladder],
            "shapes": self.shapes,
            "worth_in_respondents": {name: dict(vars(result)) for name, result in self.worths.items()},
        }

    def table(self) -> pd.DataFrame:
        """The headline table: a row for each predictor, with every measure, the ends of its interval, and counts."""
        rows = []
        for summary in self.summaries:
            row: dict[str, Any] = {"name": summary.name, "kind": summary.kind}
            for measure, score in summary.measures.items():
                row |= {measure: score.value, f"{measure}_low": score.low, f"{measure}_high": score.high}
                row[f"{measure}_n_studies"] = summary.n_scored[measure]
            for measure, spread in summary.draws.items():
                row |= {f"{measure}_of_draws": spread.mean, f"{measure}_of_draws_sd": spread.sd}
            counts = ("n_studies", "n_cells", "n_skipped", "n_rows", "n_dropped", "n_off_scale", "n_people")
            counted = {name: getattr(summary, name) for name in counts}
            rows.append(row | counted | {"note": summary.note} | self._worked(summary.name))
        return pd.DataFrame(rows)

    def _worked(self, name: str) -> dict[str, Any]:
        """What a model's answers took: the seconds of its evaluations, and dollars if a server billed them."""
        manifests = [each.manifest for each in self.evaluations_of(name)] if name in self.names else []
        took = {
            key: [manifest[key] for manifest in manifests if manifest.get(key) is not None]
            for key in ("seconds", "cost_usd")
        }
        return {key: sum(amounts) if amounts else None for key, amounts in took.items()}


def _arranged(
    evaluations: Sequence[Evaluation],
) -> tuple[tuple[str, ...], list[tuple[Evaluation, ...]]]:
    """The models' names, and their evaluations in this order for each corpus."""
    by_corpus: dict[str, dict[str, Evaluation]] = {}
    for corpus in dict.fromkeys(evaluation.spec.corpus for evaluation in evaluations):
        of_corpus = [evaluation for evaluation in evaluations if evaluation.spec.corpus == corpus]
        if len({evaluation.spec.corpus_digest for evaluation in of_corpus}) > 1:
            raise UserError(
                f"The studies of {corpus!r} have changed between these evaluations. Evaluate the older ones again."
            )
        by_corpus[corpus] = dict(zip(_names(of_corpus), of_corpus, strict=True))
    names = tuple(dict.fromkeys(name for models in by_corpus.values() for name in models))
    for corpus, models in by_corpus.items():
        for name in names:
            if name not in models:
                raise UserError(
                    f"{name} has no evaluation here on the studies of {corpus!r}, where another model or it has one. "
                    f"To compare over several corpora ({', '.join(by_corpus)}), name one evaluation of every model "
                    "on each of them, or compare evaluations on the same corpus."
                )
    for name in names:
        fingerprints = {models[name].manifest["fingerprint"] for models in by_corpus.values()}
        if len(fingerprints) > 1:
            raise UserError(
                f"{name} has changed between its evaluations on {' and '.join(by_corpus)}, so they are of two models. "
                "Evaluate it again on the corpus with the older evaluation."
            )
    return names, [tuple(models[name] for name in names) for models in by_corpus.values()]


def _names(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """The models' names, numbered where several are the same."""
    plain = [evaluation.model for evaluation in evaluations]
    return tuple(
        name if plain.count(name) == 1 else f"{name} {plain[: place + 1].count(name)}"
        for place, name in enumerate(plain)
    )


def _source(names: Sequence[str], evaluations: tuple[Evaluation, ...]) -> Source:
    """What evaluations of one corpus share. Raises UserError if they share no row or all are of frozen studies."""
    corpus = open_corpus(evaluations[0].spec.corpus)
    shared = _shown(corpus, _shared_rows(evaluations))
    clean, verdicts = _unseen(corpus, evaluations, shared)
    kept = shared[clean]
    answered = kept[_answered_by_all(kept, evaluations)]
    rows = tuple(
        # All in one order, so that row i is the same answer for every model.
        evaluation.rows.merge(answered[ROW], on=ROW).sort_values(ROW, ignore_index=True)
        for evaluation in evaluations
    )
    everybody = rows[0]
    if len(answered):
        everybody = everybody_in(corpus, rows[0])
        everybody = everybody[_unseen(corpus, evaluations, everybody)[0]]
    if any(evaluation.spec.shots for evaluation in evaluations):
        # Prompts show answers of people who were not asked, so only those who were asked are left to compare with.
        everybody = everybody.merge(answered[ROW], on=ROW)
    return Source(
        corpus=corpus,
        evaluations=evaluations,
        rows=rows,
        everybody=everybody,
        n_rows=len(shared),
        n_seen=Counter(shared.loc[~clean, "study_id"]),
        n_unanswered=Counter(kept["study_id"]) - Counter(answered["study_id"]),
        unknown=tuple(
            name for name, status in zip(names, verdicts, strict=True) if (status[clean] == "unknown").any()
        ),
    )


def _shared_rows(evaluations: Sequence[Evaluation]) -> pd.DataFrame:
    shared = evaluations[0].rows[[*ROW, "condition_num", "task_num", "part", "participant"]]
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


def _unseen(
    corpus: Corpus, evaluations: Sequence[Evaluation], rows: pd.DataFrame
) -> tuple[NDArray[np.bool_], list["pd.Series[str]"]]:
    """Which of `rows` no model has seen, so that all models are scored on the same ones, and each model's statuses."""
    verdicts = [
        statuses(seen_of(evaluation.spec.model.name), corpus, rows)["status"] for evaluation in evaluations
    ]
    clean: NDArray[np.bool_] = np.all([status.isin(HEADLINE) for status in verdicts], axis=0)
    return clean, verdicts


def _answered_by_all(rows: pd.DataFrame, evaluations: Sequence[Evaluation]) -> NDArray[np.bool_]:
    """Which rows are of cells that every model answered for somebody; all, where there is no such cell."""
    cell = [*CELL, "part"]
    everywhere = np.full(len(rows), True)
    for evaluation in evaluations:
        predicted = evaluation.rows[[*ROW, "probabilities"]].dropna(subset=["probabilities"])[ROW]
        answered = rows.merge(predicted, on=ROW)[cell].drop_duplicates()
        known = rows[cell].merge(answered, on=cell, how="left", indicator=True)["_merge"]
        everywhere &= (known == "both").to_numpy()
    return everywhere if everywhere.any() else np.full(len(rows), True)
