"""What asking a served model has cost and what went wrong, written line by line so that a kill loses nothing."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError
from socrates_core.jobs.store import append_line, now
from socrates_core.models.served.ask import MOST_TEXT
from socrates_core.models.served.prices import Price
from socrates_core.models.served.read import Receipt
from socrates_core.records import Question

MOST_SERVED = 100  # names of models that a manifest lists; an honest server has one or two


class Account:
    """Counts tokens and dollars of one piece of work; with a `folder`, over all of its attempts.

    Writes spending.jsonl (one line per question) and failures.jsonl (cause, raw text and prompt of every reply that was
    not an answer) there. A reply with a missing or impossible usage, or one that could not be used, counts as the most
    that it can have cost. Only the server knows what it bills for a reply that was lost on the way.
    """

    def __init__(
        self, price: Price | None, *, limit_usd: float | None = None, folder: Path | None = None
    ) -> None:
        """Raises UserError if a limit is set but no price is known."""
        if limit_usd is not None and not limit_usd > 0:
            raise UserError(f"The spending limit must be more than 0 dollars, got {limit_usd!r}.")
        if limit_usd is not None and price is None:
            raise UserError(
                "A spending limit needs the model's price, which is not known. Write it into prices.yaml in "
                "SOCRATES_HOME (in the form of socrates_core/models/served/prices.yaml), or set no limit."
            )
        self._price, self.limit_usd, self._folder = price, limit_usd, folder
        self._lines = list(_read_lines(folder / "spending.jsonl")) if folder else []
        self.n_failures = 0
        self.n_unlisted = 0  # options that no listed first token begins; together at most 1% of each answer

    @property
    def usd(self) -> float | None:
        """Dollars spent so far; None if the price is not known."""
        return None if self._price is None else sum(float(line["usd"]) for line in self._lines)

    def cost(self, used: tuple[int, int]) -> float:
        """Dollars for tokens (read, written); 0 if the price is not known."""
        return self._price.usd(*used) if self._price else 0.0

    def affords(self, usd: float) -> bool:
        """Whether spending `usd` more, for everything under way, stays within the limit."""
        return self.limit_usd is None or (self.usd or 0.0) + usd <= self.limit_usd

    def settle(self, receipts: Sequence[Receipt], most: tuple[int, int]) -> None:
        """Books the tokens of the replies to one question; a reply without a usage counts as `most`."""
        if not receipts:
            return
        used = [receipt.used or most for receipt in receipts]
        n_read = sum(read for read, _ in used)
        n_written = sum(written for _, written in used)
        line = {
            "n_requests": len(receipts),
            "n_read": n_read,
            "n_written": n_written,
            "usd": self.cost((n_read, n_written)),
            "served": receipts[-1].served,
        }
        self._lines.append(line)
        if self._folder:
            append_line(self._folder / "spending.jsonl", line)

    def note(self, question: Question, cause: str, raw: str) -> None:
        """Keeps a reply that was not an answer, or why there was no reply."""
        self.n_failures += 1
        if self._folder:
            failure = {
                "time": now(),
                "cause": cause[:MOST_TEXT],
                "raw": raw[:MOST_TEXT],
                "prompt": question.prompt.user,
            }
            append_line(self._folder / "failures.jsonl", failure)

    def as_dict(self) -> dict[str, Any]:
        """For a manifest: tokens, dollars with price and limit, and the models that answered, by the server's names."""
        total = {
            name: sum(int(line[name]) for line in self._lines)
            for name in ("n_requests", "n_read", "n_written")
        }
        return {
            **total,
            "usd": self.usd,
            "limit_usd": self.limit_usd,
            "n_failures": self.n_failures,
            "n_unlisted_options": self.n_unlisted,
            "price": dict(vars(self._price)) if self._price else None,
            "served": sorted({str(line["served"]) for line in self._lines} - {""})[:MOST_SERVED],
        }


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of earlier attempts; a line that a power cut left half written is skipped."""
    if not path.exists():
        return []
    lines: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict) and {"n_requests", "n_read", "n_written", "usd", "served"} <= set(line):
                lines.append(line)
    return lines
