"""How a study's people were assigned, applied: which answers belong together when two conditions are compared."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from socrates_core.analysis.clustered import Answers, clustered_difference, effective_n
from socrates_core.analysis.effects import designed_difference, mean_difference, paired_difference
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
        cluster = participants
        block = np.zeros(participants.size, dtype=np.int64)
        weight = np.ones(participants.size)
        kept = np.isfinite(value)
        if not self.design.is_plain:
            people = self.people.reindex(participants)
            if self.design.cluster:
                # Named clusters get negative numbers, so that they differ from participants' own.
                codes, _ = pd.factorize(people["cluster"])
                cluster = np.where(codes >= 0, -1 - codes, participants)
            if self.design.block:
                block, _ = pd.factorize(people["block"])
                kept &= block >= 0
            if self.design.weight:
                weight = people["weight"].to_numpy(dtype=float)
                kept &= np.isfinite(weight)
        return Answers(value[kept], is_treated[kept], cluster[kept], block[kept], weight[kept])

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


def read_assignment(corpus: Corpus, study_id: str) -> Assignment:
    """How the study's people were assigned."""
    return Assignment(corpus.design(study_id), corpus.assignment(study_id))


def effective_sizes(corpus: Corpus, study_id: str) -> dict[int, float]:
    """By stimulus, how many people asked one by one would be as certain of their shares as those who were asked.

    Only the stimuli for which that is not the number of answers: where one person answered several times, or people
    are clustered or weighted.
    """
    design = corpus.design(study_id)
    needed = set(corpus.answered_repeatedly(study_id))
    if not design.is_plain:
        needed = {stimulus.stimulus_id for stimulus in corpus.stimuli(study_id)}
    if not needed:
        return {}
    people = corpus.assignment(study_id)
    responses = corpus.responses(study_id)
    responses = responses[responses["stimulus_id"].isin(needed) & responses["value"].notna()]
    sizes = {}
    for stimulus_id, given in responses.groupby("stimulus_id"):
        shares = pd.crosstab(given["participant"], given["value"], normalize="index")
        participants = shares.index.to_numpy(dtype=np.int64)
        known = people.reindex(participants)
        weight = known["weight"].to_numpy(dtype=float) if design.weight else np.ones(participants.size)
        codes = pd.factorize(known["cluster"])[0] if design.cluster else np.full(participants.size, -1)
        cluster = np.where(codes >= 0, -1 - codes, participants)
        kept = np.isfinite(weight)
        n_answers = given["participant"].value_counts().reindex(participants).to_numpy(dtype=float)
        weight = weight * (1.0 if design.weight else n_answers)  # shares of answers: each answer counts once
        size = effective_n(shares.to_numpy()[kept], weight[kept], cluster[kept])
        sizes[int(str(stimulus_id))] = min(size, float(n_answers[kept].sum()))
    return sizes
