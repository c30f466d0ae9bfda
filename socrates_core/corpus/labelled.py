"""Writes a study as an SPSS or Stata file: a row for each person and condition, a variable for each outcome."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.tables import WHOLE_NUMBERS
from socrates_core.errors import UserError
from socrates_core.files import replacing
from socrates_core.personas import label
from socrates_core.records import DEMOGRAPHICS, Number, Stimulus

MOST_CODES = 3  # SPSS takes no more missing codes
_LABEL = {"sav": 250, "dta": 80}  # bytes of a variable's label
_VALUE_LABEL = 120


# Names that Stata ([U] 11.3) or SPSS (Variable names, reserved keywords) keep for themselves
_RESERVED = {
    *("byte", "double", "float", "if", "in", "int", "long", "strl", "using", "with"),
    *("all", "and", "by", "eq", "ge", "gt", "le", "lt", "ne", "not", "or", "to"),
}


@dataclass(frozen=True)
class Variable:
    """An outcome, or an item of a battery, as a variable.

    `values` labels the scale's values if the conditions agree on them. `off_scale` are answers that are not on the
    scale. `stimuli` are the stimuli whose answers it holds, at most one for each condition.
    """

    name: str
    label: str
    values: Mapping[Number, str]
    off_scale: tuple[float, ...]
    stimuli: tuple[Stimulus, ...]


def read_responses(corpus: Corpus, study_id: str) -> pd.DataFrame:
    """Every response of a study in order of sample_id: the columns of the table `responses`."""
    sql = "SELECT * FROM read_parquet($responses) WHERE study_id = $study ORDER BY sample_id"
    return corpus.ask(sql, study=study_id)


def variables(corpus: Corpus, study_id: str) -> list[Variable]:
    """The variables of a study's file, in order of outcome."""
    groups = dict[tuple[int, int], list[Stimulus]]()
    items = dict[tuple[int, int], int]()
    for stimulus in corpus.stimuli(study_id):
        cell = (stimulus.condition_num, stimulus.task_num)
        items[cell] = items.get(cell, -1) + 1
        groups.setdefault((stimulus.task_num, items[cell]), []).append(stimulus)
    rows = read_responses(corpus, study_id)
    off = rows[rows["value"].isna()].groupby("stimulus_id")["response"].unique()
    named = dict.fromkeys(("participant", "condition", *DEMOGRAPHICS), 1)  # columns of every file
    return [_variable(groups[key], key[1], off, named) for key in sorted(groups)]


def _variable(stimuli: list[Stimulus], item: int, off: pd.Series, named: dict[str, int]) -> Variable:
    first = stimuli[0]
    # Stata's names have at most 32 characters; 28 leave room for the number of an item.
    stem = re.sub(r"[^a-z0-9]+", "_", first.outcome_name.lower())[:28].strip("_")
    stem = stem if stem[:1].isalpha() else f"q{first.task_num}_{stem}".strip("_")
    stem = f"{stem}_" if stem in _RESERVED or re.fullmatch(r"str\d+", stem) else stem
    name = f"{stem}_{item + 1}" if item else stem
    named[name] = named.get(name, 0) + 1
    # The underscore at the end keeps it apart from `name_2`, the second item of a battery.
    name = f"{name}_{named[name]}_" if named[name] > 1 else name
    labels = {stimulus.scale.labels for stimulus in stimuli}
    codes = sorted({float(value) for s in stimuli for value in off.get(s.stimulus_id, ())})
    text = " ".join((first.question or first.outcome_name).split())
    return Variable(name, text, dict(labels.pop()) if len(labels) == 1 else {}, tuple(codes), tuple(stimuli))


def write_labelled(corpus: Corpus, study_id: str, kind: str, path: Path) -> None:
    """Writes the study to a .sav or .dta file. Raises UserError if it does not fit.

    If a person answered a stimulus more than once, the first answer counts. Values off the scale become missing codes
    in SPSS if there are at most MOST_CODES of them.
    """
    import pyreadstat

    file_variables = variables(corpus, study_id)
    labels = {"participant": "Participant", "condition": "Condition"} | {f: label(f) for f in DEMOGRAPHICS}
    labels |= {variable.name: variable.label for variable in file_variables}
    conditions: dict[Number, str] = {s.condition_num: s.condition_name for s in corpus.stimuli(study_id)}
    values: dict[str, Mapping[Number, str]] = {"condition": conditions}
    values |= {variable.name: variable.values for variable in file_variables if variable.values}
    common: dict[str, Any] = {
        "file_label": _cut(corpus.study(study_id).title, 60),
        "column_labels": {name: _cut(text, _LABEL[kind]) for name, text in labels.items()},
        "variable_value_labels": {
            name: {value: _cut(text, _VALUE_LABEL) for value, text in value_labels.items()}
            for name, value_labels in values.items()
            # Stata labels whole numbers alone; pyreadstat refuses others.
            if kind == "sav" or all(isinstance(value, int) for value in value_labels)
        },
    }
    codes: dict[str, Any] = {
        v.name: list(v.off_scale) for v in file_variables if 0 < len(v.off_scale) <= MOST_CODES
    }
    with replacing(path) as aside:
        try:
            if kind == "sav":
                pyreadstat.write_sav(
                    _wide(corpus, study_id, file_variables), aside, missing_ranges=codes, **common
                )
            else:
                pyreadstat.write_dta(_wide(corpus, study_id, file_variables), aside, **common)
        except (pyreadstat.PyreadstatError, pyreadstat.ReadstatError) as error:
            raise UserError(f"The study {study_id!r} does not fit into a .{kind} file ({error}).") from error


def _wide(corpus: Corpus, study_id: str, file_variables: list[Variable]) -> pd.DataFrame:
    place = {s.stimulus_id: (s.condition_num, v.name) for v in file_variables for s in v.stimuli}
    rows = read_responses(corpus, study_id).drop_duplicates(["participant", "stimulus_id"])
    spots = rows["stimulus_id"].map(place)
    rows = rows.assign(condition=spots.str[0], variable=spots.str[1])
    wide = rows.pivot(index=["participant", "condition"], columns="variable", values="response")
    wide = wide.reindex(columns=[variable.name for variable in file_variables]).reset_index()
    people = corpus.participants([study_id]).drop(columns="study_id").dropna(axis=1, how="all")
    for name in set(people) & set(WHOLE_NUMBERS):
        people[name] = people[name].astype(float)
    joined = wide[["participant", "condition"]].merge(people, on="participant", how="left")
    return joined.join(wide.drop(columns=["participant", "condition"]))


def _cut(text: str, most: int) -> str:
    """At most `most` bytes of the text in UTF-8."""
    return text.encode()[:most].decode(errors="ignore")
