"""Which answers in words are in which order: lists that come with the project, and those that a person has said.

Both are data: orders.yaml next to this file, and orders.yaml in the home, which comes first.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import yaml

from socrates_core.errors import UserError
from socrates_core.files import write_text
from socrates_core.settings import home
from socrates_core.yaml_files import load_yaml

_SHIPPED = Path(__file__).with_name("orders.yaml")
# "1 - Never", "(7) Always", "4"
_LED = re.compile(r"[\s(\[]*(-?\d{1,3})(?:[\s)\]]+[-–—:.=]*\s*|[-–—:.=]+\s*|$)(.*)", re.DOTALL)
MOST = 20  # answers of one order

Order = tuple[str, ...]


def ordered(cells: Sequence[str]) -> list[str]:
    """The cells from the lowest to the highest, as one known order has them; empty if no order has them all."""
    words = {plain(cell): cell for cell in cells}
    if len(cells) < 2 or len(words) < len(cells):
        return []
    for order in known_orders():
        places = {word: place for place, word in enumerate(order)}
        if words.keys() <= places.keys():
            return [words[word] for word in sorted(words, key=places.__getitem__)]
    return []


def led_numbers(cells: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Cell -> the number that it begins with and its words; empty unless all do, with some words and no number twice.

    "1 - Never", "2", .., "5 - Always" are in the order of their numbers.
    """
    matches = {cell: _LED.fullmatch(cell) for cell in cells}
    led = {cell: (int(match[1]), match[2].strip(" ()[]")) for cell, match in matches.items() if match}
    numbers = {number for number, _ in led.values()}
    worded = [words for _, words in led.values() if re.match(r"[^\W\d]", words)]
    # "3 children" and "2 days" count something: their words are the same.
    if len(led) < len(matches) or len(numbers) < max(2, len(led)) or len(set(worded)) < max(1, len(worded)):
        return {}
    span = max(numbers) - min(numbers)
    return (
        led
        if worded and span <= MOST and all(not words or words in worded for _, words in led.values())
        else {}
    )


def plain(cell: str) -> str:
    """A cell as orders are compared: in small letters, with single spaces and straight apostrophes."""
    return " ".join(cell.replace("’", "'").casefold().split()).rstrip(".")


def known_orders() -> tuple[Order, ...]:
    """Every known order, lowest answer first: those of the person, then those of the project."""
    said = home() / "orders.yaml"
    return (*(_read(said, said.stat().st_mtime_ns) if said.is_file() else ()), *_read(_SHIPPED, 0))


def save_order(answers: Sequence[str]) -> None:
    """Keeps an order, lowest answer first, in the home. Raises UserError if it is none."""
    order = [answer.strip() for answer in answers if answer.strip()]
    if len(order) < 2 or len({plain(answer) for answer in order}) < len(order) or len(order) > MOST:
        raise UserError(
            f"An order needs 2 to {MOST} different answers, lowest first, such as 'Hardly < Mostly < Fully'."
        )
    path = home() / "orders.yaml"
    known = load_yaml(path) if path.is_file() else []
    kept = [other for other in known or [] if {plain(str(a)) for a in other} != {plain(a) for a in order}]
    write_text(path, yaml.safe_dump([order, *kept], allow_unicode=True, sort_keys=False))


def parse_order(text: str) -> list[str]:
    """The answers of "Hardly < Mostly < Fully", lowest first."""
    return [answer.strip() for answer in text.split("<")]


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> tuple[Order, ...]:
    """The orders of a file; `changed` is when it last was, so that an old reading is not used."""
    stored = load_yaml(path)
    if not isinstance(stored, list) or not all(isinstance(order, list) for order in stored):
        raise UserError(f"{str(path)!r} holds no list of orders. Each is a list of answers, lowest first.")
    return tuple(tuple(plain(str(answer)) for answer in order) for order in stored)
