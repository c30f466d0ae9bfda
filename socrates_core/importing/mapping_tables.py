"""A mapping as tables that a person edits on a page, and back. Pairs look as in the YAML file: `arm: 1, wave: 2`."""

from collections.abc import Mapping as MappingOf
from typing import Any

import pandas as pd
import yaml

from socrates_core.errors import UserError, quoted
from socrates_core.importing.mapping import Mapping, OutcomeSpec, TextLoader, mapping_from_dict
from socrates_core.personas import label
from socrates_core.records import DEMOGRAPHICS
from socrates_core.scales import render_instruction
from socrates_core.yaml_files import parse_yaml

_FIELDS = {label(name): name for name in DEMOGRAPHICS}
_BY_CONDITION = ("column_by_condition", "text_by_condition", "scale_by_condition")


class _PlainDumper(yaml.SafeDumper):
    """Writes a cell `1` without quotation marks, since the loader reads every scalar as text."""


_PlainDumper.yaml_implicit_resolvers = TextLoader.yaml_implicit_resolvers


def demographic_table(mapping: Mapping) -> pd.DataFrame:
    """Columns field, column, words (what the cells are called) and year (when people were asked)."""
    rows = [
        (label(name), demographic.column, render_pairs(demographic.values), demographic.year)
        for name, demographic in mapping.demographics.items()
    ]
    return pd.DataFrame(rows, columns=["field", "column", "words", "year"], dtype="str")


def condition_table(mapping: Mapping) -> pd.DataFrame:
    """Columns name, text, rows (which were in the condition) and proposed (whether a model wrote the text)."""
    rows = [
        (condition.name, condition.text, render_pairs(condition.when)) for condition in mapping.conditions
    ]
    table = pd.DataFrame(rows, columns=["name", "text", "rows"], dtype="str")
    return table.assign(proposed=_ticks([condition.proposed for condition in mapping.conditions]))


def outcome_table(mapping: Mapping) -> pd.DataFrame:
    """Columns name, question, instruction, column, numbers, missing, rows, by_condition; proposed as for conditions."""
    rows = [
        (
            outcome.name,
            outcome.question,
            render_instruction(outcome.scale.scale()),
            outcome.column,
            render_pairs(outcome.values),
            _render_list(outcome.missing),
            render_pairs(outcome.when),
            _render_by_condition(outcome),
        )
        for outcome in mapping.outcomes
    ]
    columns = ["name", "question", "instruction", "column", "numbers", "missing", "rows", "by_condition"]
    table = pd.DataFrame(rows, columns=columns, dtype="str")
    return table.assign(proposed=_ticks([outcome.proposed for outcome in mapping.outcomes]))


def _ticks(proposed: list[bool]) -> pd.Series:
    """A column of ticks, also without rows: pandas takes an empty list for numbers."""
    return pd.Series(proposed, dtype="bool")


def keep_table(mapping: Mapping) -> pd.DataFrame:
    """Columns column, cells, reason."""
    rows = [(keep.column, _render_list(keep.values), keep.reason) for keep in mapping.keep]
    return pd.DataFrame(rows, columns=["column", "cells", "reason"], dtype="str")


def mapping_from_tables(described: MappingOf[str, Any], tables: MappingOf[str, pd.DataFrame]) -> Mapping:
    """The mapping of four edited tables and of `described`: study, layout and participant. Empty rows do not count.

    Raises UserError that names the row and what is wrong with it.
    """
    rows = {name: _rows(table) for name, table in tables.items()}
    stored = {
        **described,
        "demographics": {
            _FIELDS.get(row["field"], row["field"]): {
                "column": row["column"],
                "values": parse_pairs(row["words"]),
                "year": row["year"],
            }
            for row in rows["demographics"]
        },
        "conditions": [
            {
                "name": row["name"],
                "text": row["text"],
                "when": parse_pairs(row["rows"]),
                "proposed": bool(row["proposed"]),
            }
            for row in rows["conditions"]
        ],
        "outcomes": [
            {
                "name": row["name"] or row["column"],
                "question": row["question"],
                "scale": row["instruction"],
                "column": row["column"],
                "values": parse_pairs(row["numbers"]),
                "missing": _parse_list(row["missing"]),
                "when": parse_pairs(row["rows"]),
                **_by_condition(row["by_condition"]),
                "proposed": bool(row["proposed"]),
            }
            for row in rows["outcomes"]
        ],
        "keep": [
            {"column": row["column"], "values": _parse_list(row["cells"]), "reason": row["reason"]}
            for row in rows["keep"]
        ],
    }
    return mapping_from_dict(stored, "The table")


def render_pairs(pairs: MappingOf[str, Any]) -> str:
    """ "arm: 1, wave: [1, 2]"; empty for no pairs. A list of one is its item."""
    alone = {name: _alone(value) for name, value in pairs.items()}
    return _flow(alone)[1:-1] if alone else ""


def parse_pairs(text: str) -> dict[str, Any]:
    """The pairs that `render_pairs` wrote. Raises UserError if the text is not a list of pairs."""
    pairs = _parse("{" + text + "}", text)
    if not isinstance(pairs, dict) or any(value is None for value in pairs.values()):
        raise _unreadable(text)
    return {str(name): value for name, value in pairs.items()}


def _render_list(cells: tuple[str, ...]) -> str:
    return _flow(list(cells))[1:-1] if cells else ""


def _parse_list(text: str) -> list[Any]:
    return list(_parse(f"[{text}]", text))


def _by_condition(text: str) -> dict[str, Any]:
    pairs = parse_pairs(text)
    if not set(pairs) <= set(_BY_CONDITION):
        raise UserError(
            f"{text!r} cannot be read. What may differ by condition is {', '.join(_BY_CONDITION)}."
        )
    return pairs


def _render_by_condition(outcome: OutcomeSpec) -> str:
    scales = {name: render_instruction(scale.scale()) for name, scale in outcome.scale_by_condition.items()}
    by_condition = (outcome.column_by_condition, outcome.text_by_condition, scales)
    return render_pairs(
        {name: pairs for name, pairs in zip(_BY_CONDITION, by_condition, strict=True) if pairs}
    )


def _alone(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return value[0] if len(value) == 1 else list(value)
    return str(value) if isinstance(value, int | float) else value


def _flow(value: Any) -> str:
    options: dict[str, Any] = {"default_flow_style": True, "allow_unicode": True, "sort_keys": False}
    # PyYAML would break a long line, and a cell of the table has only one.
    return str(yaml.dump(value, Dumper=_PlainDumper, width=2**20, **options)).strip()


def _parse(text: str, cell: str) -> Any:
    try:
        return parse_yaml(text, "The cell", TextLoader)
    except UserError as error:
        raise _unreadable(cell) from error


def _unreadable(text: str) -> UserError:
    return UserError(
        f"{quoted(text)} cannot be read. Write a column or cell, a colon and its value, for example "
        "'arm: 1, wave: [1, 2]'; put texts with commas or colons in quotation marks."
    )


def _rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """The rows that are not empty, their cells trimmed; a tick that is not set is empty."""
    filled = table.astype("object").where(table.notna(), "")
    rows = [{str(k): str(v or "").strip() for k, v in row.items()} for row in filled.to_dict("records")]
    return [row for row in rows if any(row.values())]
