"""What people in every condition were asked: columns matched across conditions, and how their words differ."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from socrates_core.importing.mapping import OutcomeSpec
from socrates_core.importing.qualtrics.columns import ColumnMeaning
from socrates_core.importing.qualtrics.flow import ShownQuestion
from socrates_core.surveys.draft import ScaleSpec

CONSENT = re.compile(
    r"\b(consent|agree|wish|want) to (participate|take part)|informed consent|consent form|\bIRB\b"
    r"|participation is (\w+ )?voluntary|principal investigator",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Entry:
    """A column as the people in one condition answered it."""

    column: str
    shown: ShownQuestion
    meaning: ColumnMeaning

    @property
    def text(self) -> str:
        return "\n".join(part for part in (self.shown.text, self.meaning.statement) if part)

    @property
    def name(self) -> str:
        words = (self.meaning.statement or self.shown.text).rsplit("\n", 1)[-1]
        loop = f"{self.shown.loop}_" if self.shown.loop else ""
        return textwrap.shorten(f"{loop}{self.shown.question.tag}: {words}", 80, placeholder="…")

    @property
    def signature(self) -> tuple[object, ...]:
        """What has to be the same for two columns to hold answers to one question."""
        values = tuple(sorted(self.meaning.values.items()))
        return self.meaning.statement, self.meaning.scale, values, self.meaning.missing


Group = dict[int, Entry]  # position of the condition -> its column


def matched(entries: Sequence[Sequence[Entry]]) -> list[Group]:
    """The columns [conditions][entries] grouped into questions of one or more columns, in the order of asking.

    Columns that only some conditions have are one question if every condition has equally many with the same answers,
    or else if statement, last line and answers are the same.
    """
    by_column = dict[str, Group]()
    for n, listed in enumerate(entries):
        for entry in listed:
            by_column.setdefault(entry.column, {})[n] = entry
    partial = [[e for e in listed if len(by_column[e.column]) < len(entries)] for listed in entries]
    keys = {entry.column: (0, column) for column, group in by_column.items() for entry in group.values()}
    if len(entries) > 1:
        side_by_side = len({tuple(entry.signature for entry in listed) for listed in partial}) == 1
        for listed in partial:
            seen: list[object] = []
            for place, entry in enumerate(listed):
                key = place if side_by_side else (entry.signature, entry.shown.text.rsplit("\n", 1)[-1])
                keys[entry.column] = (1, str((key, seen.count(key))))
                seen.append(key)
    groups = dict[tuple[int, str], Group]()
    for n, listed in enumerate(entries):
        for entry in listed:
            groups.setdefault(keys[entry.column], {})[n] = entry
    return list(groups.values())


def condition_texts(
    shown: Sequence[Sequence[ShownQuestion]], start: int, asked: Sequence[set[tuple[str, str]]]
) -> list[list[ShownQuestion]]:
    """What each condition read before its first question: texts since the last question before `start`.

    `asked` [conditions] are the places of questions that are outcomes or were asked before. Texts of only one condition
    count wherever they are; texts that depend on the person or on other randomizers do not.
    """
    everywhere = set.intersection(*({(s.place, s.text) for s in listed} for listed in shown))
    texts = []
    for listed, places in zip(shown, asked, strict=True):
        base = max((n + 1 for n, s in enumerate(listed[:start]) if s.place in places), default=0)
        first = next((n for n, s in enumerate(listed) if n >= start and s.place in places), len(listed))
        texts.append(
            [
                s
                for n, s in enumerate(listed)
                if n >= base
                and s.text
                and s.sure
                and not s.other
                and s.place not in places
                and (
                    (only_here := (s.place, s.text) not in everywhere)
                    or (n < first and not CONSENT.search(s.text))
                )
                and (s.question.is_text or (only_here and s.question.kind == "TE"))
            ]
        )
    return texts


def paragraphs_apart(groups: Sequence[Group], n_conditions: int) -> tuple[list[str], dict[int, str]]:
    """The paragraphs that differ between conditions [conditions], and the shared rest by position in `groups`.

    Empty unless every question consists of shared paragraphs and the same differing ones.
    """
    differing = set[tuple[str, ...]]()
    rest = dict[int, str]()
    for position, group in enumerate(groups):
        if len({entry.text for entry in group.values()}) < 2 or len(group) < n_conditions:
            continue
        lines = [group[n].text.split("\n") for n in range(n_conditions)]
        shared = set.intersection(*map(set, lines))
        # A line that ends with a colon belongs to the line after it.
        differs = [
            [
                line not in shared
                or (line.endswith(":") and place + 1 < len(text) and text[place + 1] not in shared)
                for place, line in enumerate(text)
            ]
            for text in lines
        ]
        kept = {
            "\n".join(line for line, out in zip(t, o, strict=True) if not out)
            for t, o in zip(lines, differs, strict=True)
        }
        if len(kept) == 1 and lines[0][-1] in shared:
            differing.add(
                tuple(
                    "\n".join(line for line, out in zip(t, o, strict=True) if out)
                    for t, o in zip(lines, differs, strict=True)
                )
            )
            rest[position] = kept.pop()
    return (list(differing.pop()), rest) if len(differing) == 1 else ([], {})


def outcome_of(group: Group, names: Sequence[str], rest: str | None, taken: set[str]) -> OutcomeSpec:
    """The outcome of a group; `rest` is its question if the conditions hold the paragraphs that differ."""
    first = next(iter(group.values()))
    columns = {names[n]: entry.column for n, entry in group.items()}
    texts = {names[n]: entry.text for n, entry in group.items()}
    alike = len(set(columns.values())) == 1 and len(columns) == len(names)
    name = first.name
    number = 2
    while name in taken:
        name = f"{first.name} ({number})"
        number = number + 1
    taken.add(name)
    return OutcomeSpec(
        name=name,
        question=first.text if rest is None else rest,
        scale=ScaleSpec.of(first.meaning.scale),
        column=first.column if alike else "",
        column_by_condition={} if alike else columns,
        text_by_condition=texts if rest is None and len(set(texts.values())) > 1 else {},
        values=first.meaning.values,
        missing=first.meaning.missing,
    )


def scales_differ(group: Mapping[int, Entry]) -> bool:
    """Whether a question has different answers in different conditions."""
    return len({entry.signature for entry in group.values()}) > 1
