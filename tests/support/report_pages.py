"""The HTML pages of reports, read."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd

HOSTILE = '<script>alert(1)</script>" onload="x" =cmd|\'/C calc\'!A0 ``` {{ 7*7 }} \u202e'


class Page(HTMLParser):
    """The tags of a page with their attributes, its text, and its numbers as (key, value, what is shown)."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.numbers: list[tuple[str, float, str]] = []
        self.inside: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append((tag, told))
        self.inside.append(tag)
        if tag == "data":
            self.numbers.append((str(told["data-key"]), float(str(told["value"])), ""))

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.text += data if "style" not in self.inside else ""
        if "data" in self.inside:
            key, value, shown = self.numbers[-1]
            self.numbers[-1] = key, value, shown + data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [told for name, told in self.tags if name == tag]


def change(path: Path, column: str) -> None:
    """Adds one to the first number of a column, a thousandth to one that is not whole."""
    table = pd.read_csv(path)
    numbers = table[column].to_numpy(copy=True)
    numbers[np.flatnonzero(~np.isnan(numbers))[0]] += 1 if numbers.dtype.kind == "i" else 0.001
    table.assign(**{column: numbers}).to_csv(path, index=False)
