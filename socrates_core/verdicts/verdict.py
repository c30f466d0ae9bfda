"""The verdict on a model: read from what evaluations measured here, else from what ships with this program."""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from socrates_core.analysis.calibration import MIN_STUDIES_TO_CALIBRATE
from socrates_core.analysis.verdict import (
    MIN_STUDIES_FOR_VERDICT,
    EffectErrors,
    Finding,
    Judged,
    Kind,
    Level,
    SharesOfStudies,
    Sign,
    find,
)
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.speed import expected_seconds
from socrates_core.calibrations import as_json, read_measured
from socrates_core.errors import UserError
from socrates_core.jobs.progress import describe_seconds
from socrates_core.models import is_stand_in
from socrates_core.models.model_folder import open_folder, revision
from socrates_core.settings import home
from socrates_core.verdicts.published import published_words

Source = Literal["here", "shipped", "published", "nowhere"]
# What decides an answer besides the precision: a record of the same model in another precision is worth reading.
SAME = ("model", "revision", "decoding", "template", "server", "elicitation", "scoring")
CAP = 8  # people a cell in the evaluation that is proposed: enough for a verdict, and minutes with a small model
STARTER = Path(__file__).with_name("starter.json")

KIND_NAMES: Mapping[Kind, str] = {
    "yes or no": "questions with two options",
    "scale": "rating scales",
    "long scale": "long scales such as 0 to 100",
    "unordered": "options without an order",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a model has earned trust, as one `sentence`, with what it rests on.

    `level` is the rung reached; `source` says where it was measured. `finding` holds the numbers, None without any.
    `detail` adds what a reader asks next: the kinds of question, another precision, published scores. `remedy` says how
    to measure a model that was not measured, and how long that takes here; empty for others.
    """

    model: str
    level: Level
    sentence: str
    detail: str
    source: Source
    remedy: str = ""
    finding: Finding | None = None

    @property
    def tells_conditions_apart(self) -> bool:
        """Whether its calibrated effects are better than expecting no effect, so that plans may rest on them."""
        effects = self.finding.effects if self.finding is not None else None
        return self.level != "not measured" and effects is not None and effects.sign == "better"

    def as_dict(self) -> dict[str, Any]:
        plain: dict[str, Any] = as_json(
            {
                "model": self.model,
                "level": self.level,
                "sentence": self.sentence,
                "detail": self.detail,
                "remedy": self.remedy,
                "source": self.source,
                "tells_conditions_apart": self.tells_conditions_apart,
                **_numbers(self.finding),
            }
        )
        return plain

    def __str__(self) -> str:
        return " ".join(filter(None, [self.sentence, self.detail, self.remedy]))


def verdict_for(card: Mapping[str, Any], *, excluding: Collection[str] = ()) -> Verdict:
    """The verdict on the model with this responder's card, without the studies `excluding` ("corpus/study_id").

    An evaluation in the same precision counts before one in another, one of this home before the one that ships.
    """
    name = str(card.get("name", ""))
    if card.get("precision") == "none":
        return _stand_in(name)
    measured = [
        record
        for record in (*_records(), starter_record())
        if record is not None and _is_same(record["card"], card)
    ]
    measured.sort(key=lambda record: record["card"]["precision"] != card["precision"])
    return _first_measured(
        [_judged(record, card, frozenset(excluding)) for record in measured]
    ) or _unmeasured(name)


def verdict_of(model: str) -> Verdict:
    """The verdict on the model that a request would name `model`, whatever the precision; nothing is fetched."""
    if is_stand_in(model):
        return _stand_in(model)
    records = [record for record in (*_records(), starter_record()) if record is not None]
    of_model = [record for record in records if record["card"]["name"] == model]
    if not of_model:
        return _unmeasured(model)
    revision_here = _revision(model)
    same = [record for record in of_model if revision_here in ("", record["card"]["revision"])]
    verdict = _first_measured([_judged(record, record["card"], frozenset()) for record in same])
    return verdict or _unmeasured(model, "It has changed since it was measured.")


# From what a model was shown to be worth least to most; one that nobody has measured may be better than a bad one.
_BY_TRUST: tuple[Level, ...] = ("worse", "guessing", "not measured", "shares", "conditions", "sizes")


def most_trusted(models: Sequence[str]) -> str:
    """The model with the best verdict, the first of several; stand-ins only where there is nothing else.

    Raises ValueError without any model.
    """
    return max(
        models,
        key=lambda model: (not is_stand_in(model), _BY_TRUST.index(verdict_of(model).level)),
    )


def _first_measured(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The first verdict that rests on enough studies, or else the first: a small evaluation hides no larger one."""
    return next(
        (verdict for verdict in verdicts if verdict.level != "not measured"), next(iter(verdicts), None)
    )


def how_to_measure(model: str) -> str:
    """The command that measures a model on the starter library, and how long that takes on this machine."""
    command = f"socrates evaluate --model {model} --corpus starter --studies all --cap {CAP} --wait"
    shipped = starter_record()
    if shipped is None:
        return f"To measure it: {command}"
    seconds = expected_seconds(ModelRequest(model), shipped["n_tokens"])
    if seconds is None:
        time = f"{shipped['n_rows']:,} questions; how long they take is known after this model's first answers here"
    else:
        time = f"{shipped['n_rows']:,} questions, {describe_seconds(seconds)} on this machine"
    return f"To measure it: {command} ({time})."


@cache
def starter_record() -> dict[str, Any] | None:
    """What the starter model's evaluation on the starter library measured, as it ships with this program.

    `python -m benchmarks.starter_record` writes it. None where it is missing.
    """
    return json.loads(STARTER.read_text("utf-8")) if STARTER.exists() else None


def _records() -> Iterator[dict[str, Any]]:
    """What evaluations of this home measured, the newest first, without damaged records and those without shares."""
    paths = [(path.stat().st_mtime_ns, path) for path in (home() / "calibrations").glob("*.json")]
    for stamp, path in sorted(paths, reverse=True):
        record = _record(path, stamp)
        if record is not None and "effect_errors" in record:  # earlier versions kept effects alone
            yield record


# `_stamp` is only there for the cache's key: a record that was written again is read again.
@lru_cache(maxsize=64)
def _record(path: Path, _stamp: int) -> dict[str, Any] | None:
    try:
        return read_measured(path)
    except UserError:
        return None


def _is_same(measured: Mapping[str, Any], card: Mapping[str, Any]) -> bool:
    return all(measured.get(name) == card.get(name) for name in SAME)


def _revision(model: str) -> str:
    """The digest of the model as it is on this machine now; empty where it is not here."""
    try:
        return revision(open_folder(model, weights=False))
    except UserError:
        return ""


def _judged(record: Mapping[str, Any], card: Mapping[str, Any], excluding: frozenset[str]) -> Verdict:
    name = str(card["name"])
    shipped = record is starter_record()
    finding = find_in(record, excluding)
    details = [
        "It may have seen some of these studies: what it was trained on is not known."
        if record["unknown"]
        else "",
        *_of_kinds(finding),
        f"Measured in {record['card']['precision']}, not in {card['precision']}."
        if record["card"]["precision"] != card["precision"]
        else "",
        "Measured by this project on the starter library." if shipped else "",
    ]
    return Verdict(
        name,
        finding.level,
        sentence(finding),
        " ".join(filter(None, details)),
        "shipped" if shipped else "here",
        how_to_measure(name) if finding.level == "not measured" else "",
        finding,
    )


def find_in(record: Mapping[str, Any], excluding: Collection[str] = ()) -> Finding:
    """The finding from a stored record of measurements, without the studies `excluding`."""
    shares = pd.DataFrame(record["shares"])
    shares = shares[~shares["study"].isin(excluding)]
    # A study that does not count was among those that calibrated the others, which says nothing in its favor.
    errors = [pair for study, pair in record["effect_errors"].items() if study not in excluding]
    of_effects = None
    if len(errors) >= MIN_STUDIES_TO_CALIBRATE:
        calibrated, none = np.array(errors, dtype=float).T
        of_effects = EffectErrors(calibrated, none, float(record["calibration"]["slope"]))
    return find(
        SharesOfStudies(
            shares["study"].to_numpy(dtype=str),
            shares["kind"].to_numpy(dtype=str),
            shares["n_cells"].to_numpy(dtype=np.int64),
            shares["model"].to_numpy(dtype=float),
            shares["uniform"].to_numpy(dtype=float),
        ),
        of_effects,
    )


def sentence(finding: Finding) -> str:
    """The finding in one sentence, what it means for use in a second."""
    shares = finding.shares
    n = shares.n_studies
    effects = finding.effects
    if finding.level == "not measured":
        studies = "1 unseen study" if n == 1 else f"{n} unseen studies"
        return f"Not measured enough: {studies}; a verdict needs {MIN_STUDIES_FOR_VERDICT}."
    if finding.level == "worse":
        use = "Do not use these numbers."
        if effects is not None and effects.sign == "better":
            use = "Do not use its shares; its calibrated effects do better than expecting no effect."
        return f"Worse than guessing on {n - shares.n_better} of {n} studies. {use}"
    if finding.level == "guessing":
        return (
            f"Cannot be told from guessing: closer to people than a uniform guess on {shares.n_better} of {n} unseen "
            "studies. Do not base decisions on these numbers."
        )
    if effects is None or finding.level == "shares":
        against = (
            "whether it tells conditions apart is not measured"
            if effects is None
            else f"no better than expecting no effect ({effects.n_better} of {effects.n_studies} studies)"
        )
        return (
            f"Predicts how answers are spread better than guessing on {shares.n_better} of {n} unseen studies, but "
            f"{against}. Do not use its differences between conditions."
        )
    if finding.level == "conditions":
        return (
            f"Tells conditions apart on {effects.n_better} of {effects.n_studies} unseen studies, but its effects are "
            f"{_wrong_size(finding.slope)}. Use calibrated effects."
        )
    return f"Tells conditions apart and gets sizes right on {effects.n_better} of {effects.n_studies} unseen studies."


def _wrong_size(slope: float) -> str:
    if slope <= 0:
        return "in the wrong direction on average"
    return f"{1 / slope:.1f} times too large" if slope < 1 else f"only {1 / slope:.0%} as large as people's"


def _of_kinds(finding: Finding) -> list[str]:
    """A sentence for each result of the shares, with the kinds of question that have it."""
    only = finding.kinds[0][1] if len(finding.kinds) == 1 else None
    if only is not None and only.n_studies == finding.shares.n_studies:  # the verdict has said it
        return []
    words: dict[Sign, str] = {
        "better": "Better than guessing on",
        "worse": "Worse than guessing on",
        "same": "No clear difference from guessing on",
    }
    return [
        f"{begins} {' and '.join(names)}."
        for sign, begins in words.items()
        if (names := [KIND_NAMES[kind] for kind, judged in finding.kinds if judged.sign == sign])
    ]


def _stand_in(name: str) -> Verdict:
    return Verdict(
        name,
        "not measured",
        "This is a stand-in for a model. Its numbers say nothing about people.",
        "",
        "nowhere",
    )


def _unmeasured(name: str, reason: str = "") -> Verdict:
    published = published_words(name)
    words, origin = published or ("Not measured yet.", "")
    return Verdict(
        name,
        "not measured",
        words,
        " ".join(filter(None, [reason, origin])),
        "published" if published else "nowhere",
        how_to_measure(name),
    )


def _numbers(finding: Finding | None) -> dict[str, Any]:
    if finding is None:
        return {"n_studies": 0}
    return {
        "n_studies": finding.shares.n_studies,
        "shares": _judged_numbers(finding.shares),
        "effects": None if finding.effects is None else _judged_numbers(finding.effects),
        "slope": finding.slope,
        "kinds": {kind: _judged_numbers(judged) for kind, judged in finding.kinds},
    }


def _judged_numbers(judged: Judged) -> dict[str, Any]:
    difference = judged.difference
    return {
        "sign": judged.sign,
        "n_better": judged.n_better,
        "n_studies": judged.n_studies,
        "difference": None if math.isnan(difference.value) else difference.value,
        "low": difference.low,
        "high": difference.high,
    }
