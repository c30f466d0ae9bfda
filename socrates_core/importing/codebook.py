"""A codebook next to a data file: a table that says what the columns and their codes mean."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from socrates_core.importing.table import Table, shortened

_NAME = "variable|variablename|variablefieldname|varname|var|name|column|columnname|field|fieldname|item|itemname|code"
_LABEL = (
    "label|variablelabel|varlabel|description|question|questiontext|text|wording|fieldlabel|itemtext|questionlabel"
    "|questionwording|itemwording|meaning"
)
_VALUES = (
    "values|valuelabels|valuelabel|labels|codes|coding|categories|options|answers|answeroptions|responses"
    "|responseoptions|responsescale|levels|choices|choicescalculationsorsliderlabels|scale"
)
_VALUE = "value|code|answercode|responsecode|level"
_MEANING = "label|valuelabel|meaning|answer|category|response|text|description"
_MISSING = "missing|missings|missingcodes|missingvalues|missingcode|missingvalue|na"
_SHARE = 0.5  # of the data's columns or of the codebook's rows that have to fit each other
SHEETS = re.compile(r"code ?book|variables?|(?:data )?dictionary|labels?|legend|key|codes?", re.IGNORECASE)
_NEXT = re.compile(
    r"\s*(?:[;|\n,]|\.{2,}|…|\bto\b|\bbis\b)\s*(?=[\"'(\[]?-?\d+[\"')\]]?\s*(?:[=:–—-]|\)|\]|,\s))"
)
_CODED = re.compile(r"[\s\"'({\[]*(-?\d+)[\"')\]]*\s*[=:.,–—-]?\s*[\"']?(.+?)[\"'})\]\s]*", re.DOTALL)


@dataclass(frozen=True)
class Codebook:
    """`labels`: column -> its question. `value_labels`: column -> {cell -> label}. `missing`: column -> cells."""

    labels: dict[str, str] = field(default_factory=dict)
    value_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> set[str]:
        """Every column of which it says something."""
        return {*self.labels, *self.value_labels, *self.missing}


def find_codebook(tables: dict[Path, Table]) -> tuple[Path, Codebook] | None:
    """Which of two files is the codebook of the other; None if neither is."""
    for path, table in tables.items():
        for other, data in tables.items():
            if other != path and (codebook := read_codebook(table, list(map(str, data.frame)))):
                return path, codebook
    return None


def read_codebook(table: Table, columns: list[str]) -> Codebook | None:
    """What the table says about a data file with these columns; None if it is no codebook of that file."""
    frame = table.frame
    plain = {str(name): re.sub(r"[\W_]", "", str(name)).casefold() for name in frame}
    known = {column.casefold(): column for column in columns}
    for name in [name for name in plain if re.fullmatch(_NAME, plain[name])]:
        # A codebook with a row for each code may leave the variable's name out after the first one.
        variables = frame[name].ffill().str.casefold().map(known)
        named = set(variables.dropna())
        if len(named) < 2 or not (len(named) >= _SHARE * len(columns) or variables.notna().mean() >= _SHARE):
            continue
        rest = {other: word for other, word in plain.items() if other != name}
        codebook = _described(frame, variables, rest)
        if codebook.columns:
            return codebook
    return None


def with_codebook(table: Table, codebook: Codebook, name: str) -> Table:
    """The table with the labels that it lacks, and with the cells that the codebook declares missing as missing."""
    frame = table.frame.copy()
    for column, cells in codebook.missing.items():
        frame[column] = frame[column].mask(frame[column].isin(cells))
    free = [str(column) for column in frame if column not in codebook.columns]
    warnings = [f"{name} was read as a codebook: it describes {len(codebook.columns):,} columns."]
    if free:
        warnings.append(f"The codebook says nothing about {shortened(free)}.")
    value_labels = {
        column: {cell: text for cell, text in labels.items() if cell not in codebook.missing.get(column, ())}
        for column, labels in codebook.value_labels.items()
    }
    return replace(
        table,
        frame=frame,
        labels={**codebook.labels, **table.labels},
        value_labels={**value_labels, **table.value_labels},
        warnings=(*table.warnings, *warnings),
    )


def _described(frame: pd.DataFrame, variables: pd.Series, rest: dict[str, str]) -> Codebook:
    repeated = variables.dropna().duplicated().any()
    value = _column(rest, _VALUE) if repeated else None
    others = {name: word for name, word in rest.items() if name != value}
    meaning = _column(others, _MEANING) if value else None
    label = _column({name: word for name, word in others.items() if name != meaning}, _LABEL)
    coded = None if value else _column(others, _VALUES)
    missing = _column(others, _MISSING)
    labels = dict[str, str]()
    value_labels = dict[str, dict[str, str]]()
    codes = dict[str, tuple[str, ...]]()
    rows = frame[variables.notna()].to_dict("records")
    for variable, cells in zip(variables.dropna(), rows, strict=True):
        row = {str(name): str(cell) for name, cell in cells.items() if pd.notna(cell)}
        if label in row:
            labels.setdefault(variable, row[label])
        if value in row and meaning in row:
            value_labels.setdefault(variable, {})[row[value]] = row[meaning]
        if coded in row and (listed := parse_codes(row[coded])):
            value_labels.setdefault(variable, listed)
        if missing in row and (listed_codes := tuple(re.findall(r"-?\d+", row[missing]))):
            codes.setdefault(variable, listed_codes)
    return Codebook(labels, value_labels, codes)


def _column(words: dict[str, str], pattern: str) -> str | None:
    """The first column whose name is one of the pattern's words, in the pattern's order."""
    for word in pattern.split("|"):
        for name, plain in words.items():
            if plain == word:
                return name
    return None


def parse_codes(text: str) -> dict[str, str]:
    """The codes of a cell with their labels: "1 = Yes; 2 = No", "1, Yes | 2, No"; empty if it is no such list."""
    if text.startswith("{"):
        try:
            stored = json.loads(text)
        except ValueError:
            stored = None
        if isinstance(stored, dict):
            return {str(code): str(label) for code, label in stored.items()}
    parts: Iterable[str] = text.split("|") if "|" in text else _NEXT.split(text)
    matches = [_CODED.fullmatch(part) for part in parts if part.strip()]
    found = {match[1]: match[2].strip() for match in matches if match}
    return found if len(found) == len(matches) >= 2 else {}
