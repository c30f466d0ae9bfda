"""How commands speak: a table or sentences for people, one JSON value for machines."""

import json
import math
import sys
from collections.abc import Sequence
from typing import Any


def print_json(value: object) -> None:
    """Prints `value` as JSON; numbers that are not finite become null."""
    print(json.dumps(_finite(value), ensure_ascii=False, indent=2))


def print_result(value: object, text: str, as_json: bool) -> None:
    """Prints `value` as JSON for machines or `text` for people."""
    if as_json:
        print_json(value)
    else:
        print(text)


def print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str, as_json: bool) -> None:
    """Prints all of `rows` as JSON for machines or the named columns as a table for people."""
    if as_json:
        print_json(rows)
    else:
        print_table(rows, columns, empty)


def print_table(rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str) -> None:
    """Prints the named columns of `rows`, or the sentence `empty` if there are none."""
    if not rows:
        print(empty)
        return
    cells = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(column), *(len(row[i]) for row in cells)) for i, column in enumerate(columns)]
    for line in [list(columns), *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def say(text: str) -> None:
    """Prints a remark for people on standard error, so that standard output holds only the result."""
    print(text, file=sys.stderr, flush=True)


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}"
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:59] + "…"


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
