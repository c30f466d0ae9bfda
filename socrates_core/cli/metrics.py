"""The command that scores a file of people's answers with one drawn prediction for each: metrics."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typer

from socrates_core.analysis.draws import DrawnCell, DrawScores, score_draws
from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_json, print_table
from socrates_core.errors import UserError
from socrates_core.files import read_parquet

CELL = ["study_id", "condition_num", "task_num"]
PARTS = ["human", "predicted", "low", "high"]
UNIQUE = (["study_id", "sample_id"], [*CELL, "stimulus_id", "participant"])
SEED = 210


def metrics(
    file: Annotated[
        Path, typer.Argument(help="Parquet: study_id, condition_num, task_num, human, predicted; low, high")
    ],
    as_json: AsJson = False,
) -> None:
    """Score drawn predictions, one per person, as the paper does and on the stated scale."""
    rows = _read(file)
    has_scale = bool(np.isfinite(rows.low).any())
    scores = _as_json(score_draws(_cells(rows), seed=SEED), has_scale)
    if as_json:
        return print_json(scores)
    print_table([{"score": name, "value": value} for name, value in _flat(scores)], ["score", "value"], "")
    print("\n" + "\n".join(scores["notes"]))


def _as_json(scores: DrawScores, has_scale: bool) -> dict[str, Any]:
    effects = vars(scores.effects)
    return {
        "wasserstein_observed": scores.observed.value,
        "wasserstein_stated": scores.stated.value if has_scale else None,
        "accuracy_draw": scores.accuracy.value,
        "accuracy_draw_clipped": scores.accuracy_clipped.value,
        "sd_ratio": scores.sd_ratio.value,
        "share_valid": scores.share_valid,
        "baselines": {
            "uniform": scores.uniform.value if has_scale else None,
            "condition_blind": scores.condition_blind.value,
            "half_sample": scores.half_sample.value,
        },
        "effects": {
            name: vars(score) if hasattr(score, "value") else score for name, score in effects.items()
        },
        "n_studies": scores.observed.n_studies,
        "n_cells": scores.observed.n_cells,
        "n_skipped": scores.observed.n_skipped,
        "n_rows": scores.observed.n_rows,
        "n_dropped": scores.observed.n_dropped,
        "n_rows_stated": scores.stated.n_rows if has_scale else None,
        "n_dropped_stated": scores.stated.n_dropped if has_scale else None,
        "n_answers": scores.n_answers,
        "seed": SEED,
        "notes": _notes(has_scale),
    }


def _notes(has_scale: bool) -> list[str]:
    scale = (
        "The uniform row draws whole steps from low to high."
        if has_scale
        else "Without low and high there is no W on the stated scale and no uniform row, and effects are shares of the "
        "range that people used."
    )
    return [
        "Accuracies are shares of the observed range. Baselines are W on the observed range, drawn with a seed.",
        "A cell is skipped if fewer than two people have both numbers, or if all people gave the same answer.",
        scale,
    ]


def _flat(scores: dict[str, Any]) -> list[tuple[str, Any]]:
    """Names and numbers for a table, without intervals and notes."""
    rows: list[tuple[str, Any]] = []
    for name, value in scores.items():
        if isinstance(value, dict):
            rows += [
                (f"{name}: {key}", score["value"] if isinstance(score, dict) else score)
                for key, score in value.items()
            ]
        elif name != "notes":
            rows.append((name, value))
    return rows


def _cells(rows: pd.DataFrame) -> list[DrawnCell]:
    """The cells in order, their rows too, so that a shuffled file has the same scores."""
    ordered = rows.sort_values([*CELL, *PARTS])
    cells = []
    for _, group in ordered.groupby(CELL):
        cell = group.iloc[0]
        parts = (group[name].to_numpy(dtype=float) for name in PARTS)
        cells.append(DrawnCell(str(cell.study_id), int(cell.condition_num), int(cell.task_num), *parts))
    return cells


def _read(file: Path) -> pd.DataFrame:
    """CELL and PARTS of every row, PARTS as floats. Raises UserError for a file that cannot be scored."""
    names = _columns(file) or read_parquet(file).column_names
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"{file.name!r} has the column {twice[0]!r} twice. Keep one of them.")
    if missing := [name for name in [*CELL, "human", "predicted"] if name not in names]:
        raise UserError(f"{file.name!r} lacks the columns {', '.join(missing)}. It has {', '.join(names)}.")
    if ("low" in names) != ("high" in names):
        raise UserError(f"{file.name!r} has one of low and high. Give both ends of the scale, or neither.")
    table = read_parquet(file, sorted({*CELL, *PARTS, *UNIQUE[0], *UNIQUE[1]} & set(names)))
    if not table.num_rows:
        raise UserError(f"{file.name!r} holds no rows.")
    _check_unique(table, file.name)
    rows = pd.DataFrame({name: _numbers(table, name) for name in [*CELL[1:], *PARTS]})
    rows["study_id"] = table["study_id"].to_pandas().astype(str)
    unplaced = table["study_id"].is_null().to_numpy() | ~np.isfinite(rows[CELL[1:]]).all(axis=1)
    if unplaced.any():
        raise UserError(f"{int(unplaced.sum())} rows of {file.name!r} lack one of {', '.join(CELL)}.")
    if len(wrong := rows[rows.high <= rows.low]):
        low, high = wrong.low.iloc[0], wrong.high.iloc[0]
        raise UserError(f"A scale from {low:g} to {high:g} has no range: low must be below high.")
    return rows


def _columns(file: Path) -> list[str]:
    """The columns of `file`, or none if its schema cannot be read; reading the file then raises the reason."""
    with suppress(pa.ArrowInvalid, OSError):
        return list(pq.read_schema(file).names)
    return []


def _numbers(table: pa.Table, name: str) -> pd.Series:
    if name not in table.column_names:
        return pd.Series(np.nan, index=range(table.num_rows))
    column = table[name]
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    if not any(is_kind(column.type) for is_kind in numeric):
        first = column.drop_null()[0].as_py() if column.null_count < len(column) else None
        raise UserError(
            f"The column {name!r} holds {column.type}, such as {first!r}, not numbers. "
            "To see what a raw answer means on its scale: python -m socrates_core read ANSWER --instruction TEXT"
        )
    return pd.Series(column.to_pandas().to_numpy(dtype=float, na_value=np.nan))


def _check_unique(table: pa.Table, name: str) -> None:
    for key in UNIQUE:
        if set(key) <= set(table.column_names):
            again = table.select(key).to_pandas().duplicated()
            if again.any():
                row = table.select(key).slice(int(again.idxmax()), 1).to_pylist()[0]
                values = ", ".join(f"{column} {value!r}" for column, value in row.items())
                raise UserError(
                    f"{int(again.sum())} rows of {name!r} repeat another, the first is {values}. Keep one of each."
                )
