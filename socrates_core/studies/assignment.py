"""How a study's people were assigned, applied: which answers belong together when two conditions are compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from socrates_core.analysis.clustered import Answers, clustered_difference, effective_n
from socrates_core.analysis.effects import designed_difference, mean_difference, paired_difference
from socrates_core.analysis.intervals import SampleSize
from socrates_core.analysis.options import ShareDifferences, compare_shares, smallest_p
from socrates_core.corpus.queries import Corpus
from socrates_core.records import Design, Effect, Floats

People = tuple[NDArray[np.int64], Floats]  # participants in order, and one answer of each
Method = Literal["welch", "paired", "clustered"]


@dataclass(frozen=True)
class Assignment:
    """A study's `design`, with the cluster, block, and weight of each person (`people`, indexed by participant)."""

    design: Design
    people: pd.DataFrame

    def method(self, treated: NDArray[np.int64], reference: NDArray[np.int64]) -> Method:
        """How the answers of these participants are compared."""
        if not self.design.is_plain:
            return "clustered"
        if self.design.assignment == "within":
            return "paired"
        overlaps = self.design.assignment == "mixed" and np.intersect1d(treated, reference).size > 0
        return "clustered" if overlaps else "welch"

    def answers(self, treated: People, reference: People) -> Answers:
        """The answers of both sides as `clustered_difference` takes them.

        People without a usable weight or block leave; within people, so do those with one answer. Who was assigned
        alone is a cluster of their own.
        """
        if self.design.assignment == "within":
            both = np.intersect1d(treated[0], reference[0])
            treated, reference = (
                (side[0][kept], side[1][kept])
                for side in (treated, reference)
                for kept in [np.isin(side[0], both)]
            )
        participants = np.concatenate([treated[0], reference[0]])
        value = np.concatenate([treated[1], reference[1]])
        is_treated = np.arange(participants.size) < treated[0].size
        cluster = self.clusters(participants)
        block = np.zeros(participants.size, dtype=np.int64)
        weight = np.ones(participants.size)
        kept = np.isfinite(value)
        if not self.design.is_plain:
            people = self.people.reindex(participants)
            if self.design.block:
                block, _ = pd.factorize(people["block"])
                kept &= block >= 0
            if self.design.weight:
                weight = people["weight"].to_numpy(dtype=float)
                kept &= np.isfinite(weight)
        return Answers(value[kept], is_treated[kept], cluster[kept], block[kept], weight[kept])

    def differences_of_shares(self, treated: pd.DataFrame, reference: pd.DataFrame) -> ShareDifferences:
        """The differences in the shares of options: a row a person (the index), a column an option.

        Where effects are clustered, so is that of each option, and the test of all of them is `smallest_p`.
        """
        method = self.method(*(side.index.to_numpy(dtype=np.int64) for side in (treated, reference)))
        if method == "paired":
            both = treated.index.intersection(reference.index)
            treated, reference = treated.loc[both], reference.loc[both]
        if method != "clustered":
            return compare_shares(treated.to_numpy(), reference.to_numpy(), paired=method == "paired")
        sides = [
            (side.index.to_numpy(dtype=np.int64), side.to_numpy(dtype=float)) for side in (treated, reference)
        ]
        by_option = [
            self.answers(*((people, shares[:, k]) for people, shares in sides))
            for k in range(treated.shape[1])
        ]
        fitted = [clustered_difference(answers) for answers in by_option]
        share, share_reference = (
            np.array([_weighted_mean(answers, answers.treated == side) for answers in by_option])
            for side in (True, False)
        )
        difference = np.array([each.difference for each in fitted])
        return ShareDifferences(
            share=share,
            share_reference=share_reference,
            difference=difference,
            low=np.array([each.low for each in fitted]),
            high=np.array([each.high for each in fitted]),
            n=int(by_option[0].treated.sum()),
            n_reference=int((~by_option[0].treated).sum()),
            total_variation=float(np.abs(difference).sum() / 2),
            p=smallest_p(np.array([each.p for each in fitted])),
        )

    def share_sizes(self, given: pd.DataFrame, by: Sequence[str]) -> dict[tuple[Any, ...], SampleSize]:
        """The sizes of the cells `by` which `given` answers (see `Corpus.answers_by_person`) are shown."""
        sizes = {}
        for cell, answers in given.groupby(list(by), dropna=False):
            counts = answers.pivot_table(
                index="participant", columns="value", values="n", aggfunc="sum", fill_value=0
            )
            participants = counts.index.to_numpy(dtype=np.int64)
            n_answers = counts.sum(axis=1).to_numpy(dtype=float)
            weight = (
                n_answers  # shares are those of answers, so each answer counts once, or as much as its person
            )
            if self.design.weight:
                weight = weight * self.people["weight"].reindex(participants).to_numpy(dtype=float)
            kept = np.isfinite(weight)
            shares = counts.to_numpy(dtype=float) / n_answers[:, None]
            effective = effective_n(shares[kept], weight[kept], self.clusters(participants)[kept])
            sizes[cell] = SampleSize(int(kept.sum()), min(effective, float(n_answers[kept].sum())))
        return sizes

    def clusters(self, participants: NDArray[np.int64]) -> NDArray[np.int64]:
        """The cluster of each participant. Those without one are clusters of their own."""
        if not self.design.cluster:
            return participants
        codes, _ = pd.factorize(self.people["cluster"].reindex(participants))
        # Named clusters get negative numbers, so that they differ from participants' own.
        return np.where(codes >= 0, -1 - codes, participants)

    def difference(
        self, treated: People, reference: People, *, scale_range: float | None
    ) -> tuple[Effect, str]:
        """The effect of the condition against its reference, and the reason if the design earns it no interval."""
        method = self.method(treated[0], reference[0])
        if method == "welch":
            return mean_difference(treated[1], reference[1], scale_range=scale_range), ""
        if method == "paired":
            _, here, there = np.intersect1d(treated[0], reference[0], assume_unique=True, return_indices=True)
            return paired_difference(treated[1][here], reference[1][there], scale_range=scale_range), ""
        answers = self.answers(treated, reference)
        fitted = clustered_difference(answers)
        effect = designed_difference(answers, fitted, scale_range=scale_range)
        if not self.design.cluster:
            effect = replace(effect, n_clusters=0, n_clusters_reference=0)
        return effect, fitted.reason


def _weighted_mean(answers: Answers, side: NDArray[np.bool_]) -> float:
    return float(np.average(answers.value[side], weights=answers.weight[side])) if side.any() else np.nan


def read_assignment(corpus: Corpus, study_id: str) -> Assignment:
    """How the study's people were assigned."""
    return Assignment(corpus.design(study_id), corpus.assignment(study_id))


def share_sizes(
    corpus: Corpus, study_id: str, by: Sequence[str] = ("stimulus_id",)
) -> dict[tuple[Any, ...], SampleSize]:
    """How many people gave the answers of each cell, and as how many they count for the interval of its shares.

    `by` are the columns of `Corpus.answers_by_person` that make a cell. Empty where every answer is another person's
    and people were assigned alone and count alike.
    """
    assignment = read_assignment(corpus, study_id)
    one_condition = "stimulus_id" in by or "condition_num" in by
    if assignment.design.is_plain and not corpus.answered_repeatedly(study_id, within_cells=one_condition):
        return {}
    return assignment.share_sizes(corpus.answers_by_person(study_id), by)


SAW = {
    "between": "Each person saw one condition.",
    "within": "Each person saw all conditions.",
    "mixed": "Some people saw several conditions; intervals allow for that.",
}


def design_sentence(corpus: Corpus, study_id: str) -> str:
    """How people were assigned, in words, and what intervals allow for."""
    assignment = read_assignment(corpus, study_id)
    design = assignment.design
    if design.is_plain:
        return SAW[design.assignment]
    n_clusters, n_blocks = (assignment.people[name].nunique() for name in ("cluster", "block"))
    parts = [f"Assigned by {design.cluster} ({n_clusters:,})"] if design.cluster else []
    if design.block:
        within = f"within blocks by {design.block} ({n_blocks:,})"
        parts.append(within if parts else f"Assigned {within}")
    sentences = [f"{', '.join(parts)}."] if parts else []
    if design.weight:
        sentences.append(f"People are weighted by {design.weight}.")
    if design.assignment != "between":
        sentences.append(SAW[design.assignment].split(";")[0].rstrip(".") + ".")
    return " ".join([*sentences, "Effects and intervals allow for that."])
