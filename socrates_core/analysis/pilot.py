"""What a small pilot of real people predicts for everyone else: the baseline that money can buy.

A ridge-penalised multinomial logistic regression of the answer on demographics and condition. It is fitted on the
pilot's answers alone and gives a distribution a person, like any model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socrates_core.analysis.fractions import memberships
from socrates_core.records import Floats, Number

MOST_CLASSES = 11  # more different answers than these are fitted in as many groups, equally large
# scikit-learn's C, the inverse of the penalty, and how much less a condition is held back than a demographic. Tried on
# the starter studies with pilots of 20 to 300, C from 0.01 to 1 and weights from 1 to 5: within 0.012 nats of the best
# log score of everyone else, and the best ranked probability score or within 0.0002.
RIDGE = 0.1
CONDITION_WEIGHT = 3.0


@dataclass(frozen=True)
class _Classes:
    """A pilot's answers as classes: `label` [a] an answer, `spread` [c, k] the answers within each class.

    `person` [a] gave the answer with `weight` [a]: one answer a person, two where it lies between two values.
    """

    label: NDArray[np.int64]
    spread: Floats
    person: NDArray[np.int64]
    weight: Floats


def draw_pilot(participants: NDArray[np.int64], n: int, *, seed: int) -> NDArray[np.int64]:
    """The ids [n] of a pilot drawn from `participants`, who may be listed several times; all if fewer."""
    people = np.unique(participants)
    return np.sort(np.random.default_rng(seed).permutation(people)[:n])


def predict_from_pilot(
    people: Sequence[Mapping[str, str | Number]],
    conditions: Sequence[str],
    answers: Floats,
    *,
    in_pilot: NDArray[np.bool_],
    values: Floats,
) -> Floats:
    """The distributions [n, k] over `values` [k] that the pilot predicts for everyone else; NaN for the pilot.

    Row i is one answer to one outcome: the demographics `people[i]`, what the person was shown, `conditions[i]`,
    `answers[i]` and whether it is the pilot's, `in_pilot[i]`; the other answers are never looked at. Words are
    categories, numbers such as age are standardised; what is missing, or does not occur in the pilot, adds nothing.
    Up to MOST_CLASSES different answers are classes of their own; more are cut at the pilot's quantiles and spread
    within a group as the pilot's were. An answer that nobody in the pilot gave stays possible: one more person is
    added whose answer is anywhere on the scale, so that a pilot without answers predicts the uniform distribution.
    Pilot answers outside `values` leave; one between two of them counts for both in proportion.
    """
    places = np.asarray(values, dtype=float)
    given = memberships(answers, places)
    fitted = np.flatnonzero(in_pilot & (given.sum(axis=1) > 0))
    others = np.flatnonzero(~np.asarray(in_pilot))
    predictions = np.full((len(people), places.size), np.nan)
    predicted = np.full((others.size, places.size), 1 / places.size)
    if fitted.size and others.size:
        classes = _classes(given[fitted], places)
        rows = _features(people, conditions, fitted)
        shares = _class_shares([rows[i] for i in fitted], classes, [rows[i] for i in others])
        predicted = (fitted.size * shares @ classes.spread + predicted) / (fitted.size + 1)
    predictions[others] = predicted
    return predictions


def _classes(given: Floats, values: Floats) -> _Classes:
    """The classes of answers that count for the values as `given` [p, k]."""
    person, option = np.nonzero(given)
    weight = given[person, option]
    answers = values[option]
    _, label = np.unique(answers, return_inverse=True)
    if label.max() >= MOST_CLASSES:
        edges = np.quantile(answers, np.linspace(0, 1, MOST_CLASSES + 1)[1:-1])
        _, label = np.unique(np.searchsorted(edges, answers), return_inverse=True)
    spread = np.zeros((label.max() + 1, values.size))
    np.add.at(spread, (label, option), weight)
    return _Classes(label, spread / spread.sum(axis=1, keepdims=True), person, weight)


def _class_shares(
    pilot: list[dict[str, str | float]], classes: _Classes, others: list[dict[str, str | float]]
) -> Floats:
    """The probability [m, c] of each class for `others`, whose features the regression has not seen."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    if classes.label.max() == 0:
        return np.ones((len(others), 1))
    columns = DictVectorizer(sparse=False)
    features = columns.fit_transform(pilot)[classes.person]
    model = LogisticRegression(C=RIDGE, max_iter=1000).fit(
        features, classes.label, sample_weight=classes.weight
    )
    return np.asarray(model.predict_proba(columns.transform(others)), dtype=float)


def _features(
    people: Sequence[Mapping[str, str | Number]], conditions: Sequence[str], fitted: NDArray[np.int64]
) -> list[dict[str, str | float]]:
    """What the regression knows about each person. Numbers are standardized by the pilot's mean and deviation."""
    numbers: dict[str, list[float]] = {}
    for i in fitted:
        for name, value in people[i].items():
            if _is_number(value):
                numbers.setdefault(name, []).append(float(value))
    scale = {name: (float(np.mean(seen)), float(np.std(seen)) or 1.0) for name, seen in numbers.items()}
    features: list[dict[str, str | float]] = []
    for person, condition in zip(people, conditions, strict=True):
        # A larger value needs a smaller coefficient, so the ridge holds conditions back less.
        row: dict[str, str | float] = {f"condition {condition}": CONDITION_WEIGHT}
        for name, value in person.items():
            if isinstance(value, str) and value.strip():
                row[f"person {name}"] = value.strip()
            elif _is_number(value) and name in scale:
                mean, sd = scale[name]
                row[f"person {name}"] = (float(value) - mean) / sd
        features.append(row)
    return features


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and math.isfinite(value)
