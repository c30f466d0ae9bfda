"""Reads a Qualtrics response export: its header rows, and the place of every column in the survey."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from socrates_core.importing.delimited import with_decimal_points
from socrates_core.importing.qualtrics.columns import BEST_WORST, MULTIPLE, UNSEEN, UNSURE, is_ticked
from socrates_core.importing.qualtrics.flow import arm_names, fields_of, randomisers, shown_in
from socrates_core.importing.qualtrics.survey import Question, Step, Survey, as_dict
from socrates_core.importing.read_table import read_cells
from socrates_core.importing.table import UNSAID, WHOLE, Format, Pace, Table, shortened

ARM_OF = "arm of "  # and a randomizer's id: the name of a column that is derived from the answers
_JOINT = re.compile(r"\s*[,;|]\s*")  # between the choices of a list
MOST_CELLS = 24  # different answers that identify an arm; a column with more is free text
_MOST_READINGS = 10_000  # steps in which a list of choices is split
RECORD = {
    *("startdate", "enddate", "status", "ipaddress", "progress", "duration", "finished", "recordeddate"),
    *(
        "recordid",
        "responseid",
        "responseset",
        "responsetype",
        "name",
        "emailaddress",
        "email",
        "recipientlastname",
    ),
    *(
        "recipientfirstname",
        "recipientemail",
        "externaldatareference",
        "externalreference",
        "locationlatitude",
    ),
    *("locationlongitude", "locationaccuracy", "distributionchannel", "userlanguage"),
}
_LEGACY = re.compile(r"V\d{1,3}")  # a column of the oldest exports
_PLACE = re.compile(r"(?:(\w{1,50}?)_)?(QID\d{1,9}(?:#\d{1,3})?)(.{0,200})", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """Where a column belongs: the round of a loop, the question, and its part ("_1", "_TEXT", "_DO")."""

    loop: str
    qid: str
    suffix: str


@dataclass(frozen=True)
class Responses(Table):
    """A response export. `ids`: column -> its import id, `choices`: column -> the choice that the id names as well.

    `empty` are the columns without any cell, which are not in the frame.
    """

    ids: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)
    empty: tuple[str, ...] = ()

    def column(self, import_id: str) -> str:
        """The column with this import id or name, ignoring case; empty if there is none."""
        names = [*self.ids.items(), *((column, column) for column in map(str, self.frame))]
        return next((column for column, key in names if key.casefold() == import_id.casefold()), "")

    @property
    def holds_texts(self) -> bool | None:
        """Whether cells hold the choices' texts, not their codes; None if no column that Qualtrics records says so."""
        columns = {self.column("finished"), self.column("status")} - {""}
        cells = {cell for column in columns for cell in self.frame[column].dropna().unique()}
        if cells & {"True", "False", "TRUE", "FALSE", "IP Address", "Survey Preview", "Imported"}:
            return True
        return False if cells and all(map(str.isdigit, cells)) else None


def read_responses(
    path: Path, survey: Survey | None = None, pace: Pace = WHOLE, format_: Format = UNSAID
) -> Responses:
    """The responses in an export, a row for each person, without its header rows and empty columns.

    With the survey, an unticked answer is "0" if the person ticked another answer to that question (so is a statement
    that is neither best nor worst), and ticks that share a cell are split into columns. Raises UserError if the file
    cannot be read.
    """
    table = read_cells(path, pace, format_)
    frame = table.frame
    labels = dict(table.labels)
    if headers := {str(column): pair[0] for column in frame if (pair := _import_id(str(column)))}:
        frame = frame.rename(columns=headers)  # the rows of names and questions were removed
    ids = dict[str, str]()
    choices = dict[str, str]()
    warnings = list[str]()
    for row in range(min(3, len(frame))):
        named = {column: pair for column, cell in frame.iloc[row].items() if (pair := _import_id(cell))}
        if named:
            ids = {str(column): import_id for column, (import_id, _) in named.items()}
            choices = {str(column): choice for column, (_, choice) in named.items() if choice}
            labels = {str(c): str(cell) for c, cell in frame.iloc[max(0, row - 1)].items() if pd.notna(cell)}
            frame = frame.iloc[row + 1 :]
            break
    else:
        if has_question_line(table):  # older exports have the questions but no ids
            frame = frame.rename(columns=_record_names(frame))
            labels = {str(column): str(cell) for column, cell in frame.iloc[0].items() if pd.notna(cell)}
            frame = frame.iloc[1:]
    empty = [str(column) for column in frame if frame[column].isna().all()]
    warnings += [*table.warnings, *([f"Empty columns are left out: {shortened(empty)}."] if empty else [])]
    frame = frame.drop(columns=empty).reset_index(drop=True)
    ids = {column: key for column, key in ids.items() if column in frame}
    responses = Responses(
        **{**vars(table), "frame": frame, "labels": labels, "warnings": tuple(warnings)},
        ids=ids,
        choices=choices,
        empty=tuple(empty),
    )
    if survey is None:
        return with_decimal_points(responses)
    responses = with_decimal_points(responses, _lists(survey, responses))
    return _with_arms(survey, _ticks_apart(survey, responses))


def has_question_line(table: Table) -> bool:
    """Whether the first row of the table is a header line of Qualtrics, with the names of what it records itself."""
    if table.frame.empty:
        return False
    first = {str(column): str(cell) for column, cell in table.frame.iloc[0].items() if pd.notna(cell)}
    recorded = [
        c
        for c, cell in first.items()
        if _plain(cell) in RECORD and (_plain(c) in RECORD or _LEGACY.fullmatch(c))
    ]
    if len(recorded) >= 2:
        return True
    later = table.frame.iloc[1:]
    dates = [column for column in first if _plain(column) in ("startdate", "enddate", "recordeddate")]
    return any(  # "Startdatum", the name of a date in another language, is above the dates
        not re.search(r"\d", first[column]) and later[column].str.contains(r"\d", na=False).any()
        for column in dates
    )


def _record_names(frame: pd.DataFrame) -> dict[str, str]:
    """V1, V2, .. of the oldest exports -> the names below them: ResponseID, Status, .."""
    taken = set(map(str, frame))
    return {
        str(column): cell
        for column, cell in frame.iloc[0].items()
        if _LEGACY.fullmatch(str(column)) and _plain(cell) in RECORD and cell not in taken
    }


def _plain(name: object) -> str:
    return re.sub(r"[\W_]|\(.*", "", str(name)).casefold()


def places(survey: Survey, responses: Responses) -> dict[str, Place]:
    """Column -> where it belongs, by its import id or else by its question's export tag.

    Without an import id, a column's number may be the id of a row or its place; it is UNSURE if both are possible.
    """
    tags = {question.tag: qid for qid, question in survey.questions.items()}
    by_id, by_name = dict[str, Place](), dict[str, Place]()
    for column in map(str, responses.frame):
        name = responses.ids.get(
            column, column
        )  # some surveys write their export tags as ids, some ids as names
        match = _PLACE.fullmatch(name.replace("-", "_") if name.startswith("QID") else name)
        if match and (column in responses.ids or match[2] in survey.questions):
            by_id[column] = Place(match[1] or "", match[2], match[3])
            continue
        loop, rest = (m[1], m[2]) if (m := re.fullmatch(r"(\d{1,4})_(.+)", name)) else ("", name)
        for round_key, named in ((loop, rest), ("", name)):
            if place := _place_of_tag(named, round_key, tags):
                by_name[column] = place
                break
    where = {**by_id, **_by_rows(survey, responses, by_name)} or _by_texts(survey, responses)
    order = [column for column in map(str, responses.frame) if column in where]
    return {column: where[column] for column in order if where[column].qid in survey.questions}


def _place_of_tag(name: str, loop: str, tags: Mapping[str, str]) -> Place | None:
    """The place of a column whose name begins with a question's export tag.

    R and SPSS may have written it in other letters or with dots.
    """
    # The longest tag first: Q1_2 may be the second part of Q1, or a question of that name.
    by_length = sorted(tags, key=len, reverse=True)
    for tag in by_length:
        if name == tag or name.startswith(f"{tag}_"):
            return Place(loop, tags[tag], name.removeprefix(tag))
    if re.search(r"\s", name):
        return None  # a text, of which the tag is only the first word
    folded = [_folded(tag) for tag in by_length]
    for tag, plain in zip(by_length, folded, strict=True):
        if folded.count(plain) == 1 and (_folded(name) == plain or _folded(name).startswith(f"{plain}_")):
            return Place(loop, tags[tag], _folded(name).removeprefix(plain).upper())
    return None


def _folded(name: str) -> str:
    return re.sub(r"[.\s-]", "_", name).lower()


def _by_texts(survey: Survey, responses: Responses) -> dict[str, Place]:
    """The places of columns that are named by their question's text, alone or before a choice's: "Rate these - Tea"."""
    where = dict[str, Place]()
    texts = {" ".join(question.text.split()): question for question in survey.questions.values()}
    # The longest text first: one question may begin with another.
    by_length = sorted((text for text in texts if len(text) > 3), key=len, reverse=True)
    for column in map(str, responses.frame):
        name = " ".join(column.split())
        question = next((texts[text] for text in by_length if name.startswith(text)), None)
        if question is None or len([q for q in survey.questions.values() if q.text == question.text]) > 1:
            continue
        rest = name.removeprefix(" ".join(question.text.split())).strip(" -:")
        row = _row_of_label(question, rest) if rest else ""
        if not rest and len(question.choices) == 1:
            row = question.choices[0].key
        if row or not rest:
            where[column] = Place("", question.qid, f"_{row}" if row else "")
    return where


def _by_rows(survey: Survey, responses: Responses, named: Mapping[str, Place]) -> dict[str, Place]:
    """The places by names, with the first number of each turned into the id of its question's choice or row."""
    groups = dict[tuple[str, str], dict[str, list[str]]]()
    for column, place in named.items():
        parts = place.suffix.split("_")
        if len(parts) > 1 and parts[1].isdigit():
            groups.setdefault((place.loop, place.qid), {})[column] = parts
    by_row = dict(named)
    for (loop, qid), columns in groups.items():
        question = survey.questions[qid]
        numbers = [parts[1] for parts in columns.values()]
        # The label of a column with two numbers ends with the answer's words, not with the row's.
        labels = [
            responses.labels.get(column, "") if len(parts) == 2 else "" for column, parts in columns.items()
        ]
        keys = _row_ids(question, numbers, labels)
        for (column, parts), key in zip(columns.items(), keys, strict=True):
            by_row[column] = Place(loop, qid, "_".join(["", key, *parts[2:]]))
    return by_row


def _row_ids(question: Question, numbers: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The ids of the choices or rows that columns are numbered by, in the order of the columns."""
    ids = [choice.key for choice in question.choices]
    by_place = {str(place): key for place, key in enumerate(ids, start=1)}
    by_code = {choice.code: choice.key for choice in question.choices}
    if all(by_place.get(number) == number for number in numbers):
        return list(numbers)
    worded = [_row_of_label(question, label) for label in labels]
    if all(worded):
        return worded
    as_ids, as_places = set(numbers) <= set(ids), set(numbers) <= set(by_place)
    if question.kind == "MC":  # choices are numbered by their ids or by the author's codes
        return list(numbers) if as_ids or not set(numbers) <= set(by_code) else [by_code[n] for n in numbers]
    if as_ids and not as_places:
        return list(numbers)
    if as_places and not as_ids:
        return [by_place[number] for number in numbers]
    return [UNSURE] * len(numbers) if as_ids else list(numbers)


def _row_of_label(question: Question, label: str) -> str:
    """The id of the row with whose text a column's label ends; empty if there is none or more than one."""
    words = " ".join(label.split()).casefold()
    fitting = [
        choice
        for choice in question.choices
        if choice.text and re.search(rf"(?:^|\W){re.escape(choice.text.casefold())}$", words)
    ]
    longest = max((len(choice.text) for choice in fitting), default=0)
    fitting = [choice for choice in fitting if len(choice.text) == longest]
    return fitting[0].key if len(fitting) == 1 else ""


def _import_id(cell: object) -> tuple[str, str] | None:
    if not isinstance(cell, str) or not cell.startswith("{") or "ImportId" not in cell:
        return None
    try:
        stored = as_dict(json.loads(cell))
    except (ValueError, RecursionError):
        return None
    return str(stored.get("ImportId", "")), str(stored.get("choiceId", ""))


def holds_texts(survey: Survey, responses: Responses) -> bool:
    """Whether cells hold the choices' texts, not their codes; judged by the cells if the export does not say."""
    if responses.holds_texts is not None:
        return responses.holds_texts
    for column, place in places(survey, responses).items():
        question = survey.questions[place.qid]
        if question.kind != "MC" or place.suffix or question.selector in MULTIPLE:
            continue
        cells = set(responses.frame[column].dropna().unique()) - {UNSEEN}
        codes, texts = {c.code for c in question.choices}, {c.text for c in question.choices}
        if cells and (cells <= codes) != (cells <= texts):
            return cells <= texts
    return False


def _lists(survey: Survey, responses: Responses) -> list[str]:
    """The columns whose cells list several ticks."""
    return [
        column
        for column, place in places(survey, responses).items()
        if not place.suffix
        and survey.questions[place.qid].kind == "MC"
        and is_ticked(survey.questions[place.qid])
    ]


def _ticks_apart(survey: Survey, responses: Responses) -> Responses:
    frame = responses.frame.copy()
    ids = dict(responses.ids)
    groups = dict[tuple[str, ...], list[str]]()
    warnings = list(responses.warnings)
    as_texts = holds_texts(survey, responses)
    for column, place in places(survey, responses).items():
        question = survey.questions[place.qid]
        if not is_ticked(question) or "_DO" in place.suffix or place.suffix.endswith("TEXT"):
            continue
        if question.kind == "MC" and not place.suffix:
            cells = frame.pop(column)
            ticks = _split(question, cells, as_texts=as_texts)
            unread = [str(cell) for cell in cells[ticks.isna() & cells.notna() & (cells != UNSEEN)]]
            if unread:
                examples = shortened(list(dict.fromkeys(repr(cell[:40]) for cell in unread)), 3)
                warnings.append(
                    f"{len(unread):,} cells of {column!r} are not lists of the survey's choices ({examples}), so these "
                    "people have no answer there."
                )
            for choice in question.choices:
                name = f"{column}_{choice.key}"
                frame[name] = ticks.map(
                    lambda keys, key=choice.key: "01"[key in keys], na_action="ignore"
                ).astype("str")
                ids[name] = f"{place.loop}{'_' if place.loop else ''}{place.qid}_{choice.key}"
        else:
            alone = question.kind == "Matrix" and question.selector != BEST_WORST
            row = place.suffix.split("_")[1] if alone else ""
            groups.setdefault((place.loop, place.qid, row), []).append(column)
            last = place.suffix.rsplit("_", 1)[-1]
            options = question.answers if alone else question.choices
            if as_texts and any(option.key == last and option.text == "0" for option in options):
                frame[column] = frame[column].mask(frame[column] == "0", "1")  # the text of what was ticked
    for columns in groups.values():
        seen = frame[columns].notna().any(axis=1)
        for column in columns:
            frame[column] = frame[column].mask(seen & (frame[column].isna() | (frame[column] == UNSEEN)), "0")
    return replace(responses, frame=frame, ids=ids, warnings=tuple(warnings))


def _split(question: Question, cells: pd.Series, *, as_texts: bool) -> pd.Series:
    """The ids of the ticked choices in each cell [n], a frozenset; missing if a cell is no list of choices.

    Choices are named by their codes or by their texts, whichever reads more of the cells.
    """
    by_code = {choice.code: choice.key for choice in question.choices if choice.code}
    by_text = {choice.text: choice.key for choice in question.choices if choice.text}
    different = [str(cell) for cell in cells.dropna().unique()]
    readings = [
        {cell: keys for cell in different if (keys := ticked_in(cell, names)) is not None}
        for names in ((by_text, by_code) if as_texts else (by_code, by_text))
    ]
    return cells.map(max(readings, key=len)).astype("object")


def ticked_in(cell: str, names: Mapping[str, str]) -> frozenset[str] | None:
    """The choices (name -> id) that a cell lists between commas or semicolons; None if it is not such a list.

    A name may contain commas. A cell that can be read in two ways is not a list either.
    """
    text = " ".join(cell.split())
    readings = set[frozenset[str]]()
    seen = set[tuple[int, frozenset[str]]]()
    open_ = [(0, frozenset[str]())]
    while open_ and len(readings) < 2 and len(seen) < _MOST_READINGS:
        place, keys = open_.pop()
        if (place, keys) in seen:
            continue
        seen.add((place, keys))
        if place >= len(text):
            readings.add(keys)
            continue
        for name in names:
            end = place + len(name)
            if not text.startswith(name, place) or names[name] in keys:
                continue
            joint = _JOINT.match(text, end)
            if end == len(text) or joint:
                open_.append((joint.end() if joint else end, keys | {names[name]}))
    return readings.pop() if len(readings) == 1 else None


def _with_arms(survey: Survey, responses: Responses) -> Responses:
    """The responses with a column for each randomizer whose arms no single question tells apart, as with inner arms.

    A person is in the arm to whose questions they gave any answer, or whose inner steps left a mark on them: a field
    that is set there alone, or the order of an inner randomizer. They are in none if that is not a single arm.
    """
    frame = responses.frame
    where = places(survey, responses)
    arms = dict[str, pd.Series]()
    for step in randomisers(survey):
        if any(str(name).startswith(f"{step.key}_DO") for name in (*frame, *responses.ids.values())):
            continue
        seen = [{s.question.qid for s in shown_in(survey, {step.key: n})} for n in range(len(step.steps))]
        met = list[pd.Series]()
        single = True
        for n, qids in enumerate(seen):
            only_here = qids - set().union(*(other for m, other in enumerate(seen) if m != n))
            columns = [
                c for c, place in where.items() if place.qid in only_here and "_DO" not in place.suffix
            ]
            answered = frame[columns].notna()
            met.append(answered.any(axis=1) | _is_marked(responses, step, n))
            # One question tells an arm if everybody in it answered that one, with few different answers.
            telling = [c for c in columns if frame[c].nunique() <= MOST_CELLS]
            single &= bool(answered[telling].sum().max() == met[-1].sum()) if met[-1].any() else True
        if single or sum(bool(arm.any()) for arm in met) < 2:
            continue
        together = pd.concat(met, axis=1)
        names = dict(enumerate(arm_names(survey, step)))
        column = together.idxmax(axis=1).map(names).where(together.sum(axis=1) == 1)
        arms[f"{ARM_OF}{step.key}"] = column.astype("str")
    return replace(responses, frame=frame.assign(**arms)) if arms else responses


def _is_marked(responses: Responses, randomiser: Step, arm: int) -> "pd.Series[bool]":
    """Who has a cell [people] that only a step inside this arm writes."""
    frame = responses.frame
    fields = [{name for name, _ in fields_of(step)} for step in randomiser.steps]
    others = set().union(*(names for n, names in enumerate(fields) if n != arm))
    marks = [responses.column(name) for name in fields[arm] - others]
    inner = {f"{step.key}_DO" for step in randomiser.steps[arm].walk() if step.kind == "Randomizer"}
    names = {str(column): responses.ids.get(str(column), str(column)) for column in frame}
    marks += [column for column, name in names.items() if any(name.startswith(key) for key in inner)]
    marked = frame[[mark for mark in dict.fromkeys(marks) if mark]]
    return (marked.notna() & (marked != "")).any(axis=1)
