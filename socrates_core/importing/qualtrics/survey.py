"""Reads a survey definition (QSF) as questions, blocks and a flow. Nothing in the file is trusted."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError
from socrates_core.importing.qualtrics.text import plain_text

MAX_BYTES = 50_000_000
MAX_DEPTH = 40
MAX_QUESTIONS = 10_000
MAX_CHOICES = 1_001
Json = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """An answer or a statement: its id, its words (pipes unfilled), its code in the export; `excluded` if no answer."""

    key: str
    text: str
    code: str
    excluded: bool = False


@dataclass(frozen=True)
class Question:
    """A question or a text. A matrix has statements as `choices` and columns as `answers`; `payload` is as stored."""

    qid: str
    tag: str
    kind: str
    selector: str
    sub: str
    text: str
    choices: tuple[Choice, ...]
    answers: tuple[Choice, ...]
    payload: Json = field(repr=False)

    @property
    def is_text(self) -> bool:
        return self.kind == "DB"


@dataclass(frozen=True)
class Block:
    """Questions in order; `loops` are the fields of each round of a loop & merge block, by the round's key."""

    name: str
    questions: tuple[str, ...]
    loops: dict[str, dict[str, str]]


@dataclass(frozen=True)
class Step:
    """A step of the survey flow. `shown` is how many of its steps a randomiser shows; `fields` are embedded data."""

    key: str
    kind: str
    name: str = ""
    block: str = ""
    question: str = ""
    shown: int = 0
    fields: tuple[tuple[str, str], ...] = ()
    logic: Json = field(default_factory=dict, repr=False)
    steps: tuple["Step", ...] = ()

    def walk(self) -> Iterator["Step"]:
        """This step and all inside it, in order."""
        yield self
        for step in self.steps:
            yield from step.walk()


@dataclass(frozen=True)
class Survey:
    """A survey definition. `warnings` say what was not understood."""

    survey_id: str
    title: str
    questions: dict[str, Question]
    blocks: dict[str, Block]
    flow: Step
    warnings: tuple[str, ...] = ()


def read_survey(path: Path) -> Survey:
    """The survey definition in a .qsf file.

    Raises UserError if the file cannot be read, is too large, or is not a survey definition.
    """
    stored = _load(path)
    entry = stored.get("SurveyEntry")
    elements = stored.get("SurveyElements")
    if not isinstance(entry, dict) or not isinstance(elements, list):
        raise UserError(
            f"{path.name!r} is not a Qualtrics survey definition: SurveyEntry and SurveyElements are missing. "
            "In Qualtrics, use Tools, Import/Export, Export Survey."
        )
    payloads: dict[str, list[Any]] = {}
    for element in elements:
        if isinstance(element, dict):
            payloads.setdefault(str(element.get("Element")), []).append(element.get("Payload"))
    stored_questions = [part for payload in payloads.get("SQ", []) for part in _parts(as_dict(payload))]
    questions = {q.qid: q for part in stored_questions if (q := _question(part))}
    if not 0 < len(questions) <= MAX_QUESTIONS:
        raise UserError(
            f"{path.name!r} has {len(questions):,} questions; 1 to {MAX_QUESTIONS:,} can be read."
        )
    listed = [as_dict(block) for payload in payloads.get("BL", []) for block in entries(payload)]
    parts: dict[str, list[str]] = {}
    for qid in questions:
        parts.setdefault(qid.partition("#")[0], []).append(qid)
    blocks = {_name(block.get("ID")): _block(block, questions, parts) for block in listed}
    warnings = []
    if payloads.get("FL"):
        flow = _step(as_dict(payloads["FL"][0]), 0)
    else:
        warnings.append("The survey has no flow, so its blocks are read in the order of the file.")
        used = [_name(block.get("ID")) for block in listed if block.get("Type") != "Trash"]
        flow = Step("", "Root", steps=tuple(Step(key, "Block", block=key) for key in used))
    return Survey(
        _name(entry.get("SurveyID")),
        plain_text(entry.get("SurveyName"))[:200] or path.stem,
        questions,
        blocks,
        _with_drawn_questions(flow, listed, parts),
        tuple(warnings),
    )


def as_dict(value: object) -> Json:
    """The value if it is a mapping, or else an empty one."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def entries(value: object) -> list[Any]:
    """The items of a list or the values of a mapping, or else nothing: Qualtrics writes either."""
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


def whole(value: object, default: int) -> int:
    """The value as a whole number, or the default."""
    try:
        return int(float(str(value)))
    except (ValueError, OverflowError):
        return default


def _load(path: Path) -> Json:
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise UserError(f"{path.name!r} has {size / 1e6:,.0f} MB, too large for a survey definition.")
        stored = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"The file {str(path)!r} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]
        raise UserError(
            f"{path.name!r} is not a survey definition: it cannot be read as JSON ({reason})."
        ) from error
    return as_dict(stored)


def _parts(payload: Json) -> list[Json]:
    """The question; a side-by-side question as its columns, each a matrix of the shared statements."""
    if payload.get("QuestionType") != "SBS":
        return [payload]
    shared = {name: payload.get(name) for name in ("Choices", "ChoiceOrder", "DisplayLogic")}
    qid = _name(payload.get("QuestionID"))
    tag = plain_text(payload.get("DataExportTag"))
    return [
        {
            **shared,
            **{name: value for name, value in as_dict(column).items() if value},
            "QuestionID": f"{qid}#{key}",
            "DataExportTag": f"{tag or qid}#{key}",
            "QuestionType": "Matrix",
            "QuestionText": f"{payload.get('QuestionText')}<br>{as_dict(column).get('QuestionText') or ''}",
        }
        for key, column in as_dict(payload.get("AdditionalQuestions")).items()
        if qid
    ]


def _question(payload: Json) -> Question | None:
    qid = _name(payload.get("QuestionID"))
    if not qid:
        return None
    matrix = payload.get("QuestionType") == "Matrix"
    return Question(
        qid,
        " ".join(plain_text(payload.get("DataExportTag")).split()) or qid,
        _name(payload.get("QuestionType")),
        _name(payload.get("Selector")),
        _name(payload.get("SubSelector")),
        plain_text(payload.get("QuestionText")),
        _choices(payload, "Choices", "ChoiceOrder", coded=not matrix),
        _choices(payload, "Answers", "AnswerOrder", coded=matrix),
        payload,
    )


def _choices(payload: Json, name: str, order: str, *, coded: bool) -> tuple[Choice, ...]:
    """Choices or answers in the order in which they are shown."""
    stored = payload.get(name)
    if isinstance(stored, list):
        stored = {str(position): item for position, item in enumerate(stored, start=1)}
    listed = as_dict(stored)
    codes = as_dict(payload.get("RecodeValues")) if coded else {}
    analysed = as_dict(payload.get("AnalyzeChoices"))
    keys = [_name(key) for key in entries(payload.get(order))]
    keys = list(dict.fromkeys(key for key in keys if key in listed)) or list(listed)
    return tuple(
        Choice(
            key,
            " ".join(plain_text(as_dict(listed[key]).get("Display")).split()),
            _name(codes.get(key)) or key,
            coded and str(analysed.get(key)) == "No",
        )
        for key in keys[:MAX_CHOICES]
    )


def _elements(block: Json) -> list[str]:
    """The ids of a block's questions in order; empty for an element that is not a question."""
    return [_name(as_dict(element).get("QuestionID")) for element in entries(block.get("BlockElements"))]


def _block(block: Json, questions: Mapping[str, Question], parts: Mapping[str, list[str]]) -> Block:
    named = tuple(part for qid in _elements(block) for part in parts.get(qid, ()))
    options = as_dict(block.get("Options"))
    looping = as_dict(options.get("LoopingOptions")) if options.get("Looping") not in (None, "None") else {}
    rounds = {key: as_dict(fields) for key, fields in as_dict(looping.get("Static")).items()}
    looped = questions.get(_name(looping.get("QID")))
    for choice in looped.choices if looped else ():
        rounds.setdefault(choice.key, {}).setdefault("1", choice.text)
    loops = {
        key: {f"lm://Field/{name}": plain_text(text) for name, text in fields.items()}
        for key, fields in rounds.items()
    }
    return Block(plain_text(block.get("Description")), named, loops)


def _step(stored: Json, depth: int) -> Step:
    if depth > MAX_DEPTH:
        raise UserError(
            f"The survey's flow is nested more than {MAX_DEPTH} levels deep, so it cannot be read."
        )
    kind = _name(stored.get("Type"))
    inside = entries(stored.get("Flow"))
    fields = [as_dict(field) for field in entries(stored.get("EmbeddedData"))]
    return Step(
        key=_name(stored.get("FlowID")),
        kind="Randomizer" if kind.endswith("Randomizer") else kind,
        name=plain_text(stored.get("Description")),
        block=_name(stored.get("ID")),
        shown=whole(stored.get("SubSet"), len(inside)),
        fields=tuple(
            (plain_text(field.get("Field")), plain_text(field.get("Value")))
            for field in fields
            if field.get("Type") == "Custom" and field.get("Value") is not None
        ),
        logic=as_dict(stored.get("BranchLogic")),
        steps=tuple(_step(as_dict(step), depth + 1) for step in inside),
    )


def _with_drawn_questions(flow: Step, blocks: list[Json], parts: Mapping[str, list[str]]) -> Step:
    """The flow, with a randomizer of single questions for a block that shows a random part of its questions."""
    drawn: dict[str, Step] = {}
    for block in blocks:
        options = as_dict(block.get("Options"))
        key = _name(block.get("ID"))
        rule = as_dict(as_dict(options.get("Randomization")).get("Advanced"))
        subset = [_name(qid) for qid in entries(rule.get("RandomSubSet"))]
        n = whole(rule.get("TotalRandSubset"), 0)
        if (
            key
            and 0 < n < len(subset)
            and str(options.get("RandomizeQuestions")).lower() not in ("false", "none")
        ):
            order = _elements(block)
            first = min((order.index(qid) for qid in subset if qid in order), default=0)
            inside = {
                qid: tuple(
                    Step(part, "Question", question=part) for part in parts.get(qid, ()) if part != qid
                )
                for qid in order
            }
            single = [Step(qid, "Question", question=qid, steps=inside[qid]) for qid in order if qid]
            arms = Step(key, "Randomizer", shown=n, steps=tuple(s for s in single if s.key in subset))
            steps = [s for s in single if s.key not in subset]
            drawn[key] = Step(key, "Group", steps=(*steps[:first], arms, *steps[first:]))

    def put(step: Step) -> Step:
        return drawn.get(step.block) or replace(step, steps=tuple(put(inside) for inside in step.steps))

    return put(flow)


def _name(value: object) -> str:
    """An identifier as text; empty for anything but text or a number."""
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
