"""Walks a case of ../shared/cases through the command line in this process, and compares what comes out.

A case is a folder with input files and a case.json; shared/cases/README.md describes the format. Another kind of check
is another method `check_NAME` of `Walk`; a kind of step that needs a worker or a server is for the tests that need it.
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyreadstat
import yaml

from socrates_core.importing.mapping import TextLoader
from tests.support.commands import said

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
WITHIN = 1e-6
Check = Mapping[str, Any]


class Short(AssertionError):
    """A check that does not hold; the message says what came out."""


@dataclass(frozen=True)
class Step:
    """A command that was run."""

    arguments: Sequence[str]
    out: str
    err: str
    code: object

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.out)
        except ValueError:
            return None

    @property
    def mapping(self) -> dict[str, Any] | None:
        """The mapping that the command printed; None where it printed none."""
        try:
            printed = yaml.load(self.out, TextLoader)
        except yaml.YAMLError:
            return None
        return printed if isinstance(printed, dict) and "outcomes" in printed else None

    @property
    def sentences(self) -> str:
        """All that a person reads: errors, warnings of the JSON, comments in a printed mapping."""
        if isinstance(self.json, dict):
            return "\n".join([self.err, *map(str, self.json.get("warnings", ()))])
        return "\n".join([self.err, *re.findall("#.*", self.out)]) if self.mapping else self.err + self.out


def case_names(*starts: str) -> list[str]:
    """The cases whose names begin so, in order."""
    return sorted(
        path.parent.name for path in CASES.glob("*/case.json") if path.parent.name.startswith(starts)
    )


class Walk:
    """The steps of one case, run in a folder of their own, and the study that they left.

    SOCRATES_HOME has to be a new one.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.source, self.folder = CASES / name, folder
        self.case = json.loads((self.source / "case.json").read_text(encoding="utf-8"))
        self.steps: list[Step] = []
        self.study: dict[str, Any] = {}
        self.corpus = ""
        self.columns: dict[str, str] = {}  # column -> the outcome with its answers

    def run(self) -> None:
        """Runs the steps and all checks. Raises Short with the first that does not hold."""
        steps = self.case["command"]
        for arguments in steps if isinstance(steps[0], list) else [steps]:
            if "{mapping}" in arguments and not self._mapping.exists():
                break  # nothing was suggested; the checks say whether that is right
            self._step([self._filled(argument) for argument in arguments])
        for step in self.steps:
            if step.code not in (0, 2) or "Traceback" in step.err:
                raise Short(f"{step.arguments[0]} ended with {step.code}: {step.err}")
        self.check_all(self.case["checks"])

    @property
    def _mapping(self) -> Path:
        return self.folder / "suggested.yaml"

    def _filled(self, argument: str) -> str:
        filled = argument.replace("{out}", str(self.folder)).replace("{mapping}", str(self._mapping))
        return str(self.source / filled) if (self.source / filled).is_file() else filled

    def _step(self, arguments: Sequence[str]) -> None:
        step = Step(arguments, *said(*arguments))
        self.steps.append(step)
        if arguments[0] != "import" or step.code:
            return
        if (mapping := step.mapping) is not None:
            for condition in mapping["conditions"]:
                condition["text"] = condition.get("text") or f"Text of {condition['name']}."
            for outcome in mapping["outcomes"]:
                outcome["question"] = outcome.get("question") or f"Question {outcome['name']}?"
            self._mapping.write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
            return
        self.corpus = step.json["corpus"]
        written = yaml.load(Path(step.json["mapping"]).read_text(encoding="utf-8"), TextLoader)
        for outcome in written["outcomes"]:
            for column in (outcome.get("column", ""), *outcome.get("column_by_condition", {}).values()):
                self.columns.setdefault(column, outcome["name"])
        shown, complaint, code = said(
            "study", written["study"]["study_id"], "--corpus", self.corpus, "--json"
        )
        if code:
            raise Short(f"the study cannot be shown: {complaint}")
        self.study = json.loads(shown)

    # what came in

    def outcome(self, wanted: str | Sequence[str]) -> int:
        """The number of the one outcome with one of these names, columns, or words of its question."""
        if not self.study:
            raise Short(f"no study came in: {self.steps[-1].err}")
        names: dict[int, str] = {row["task_num"]: row["name"] for row in self.study["outcomes"]}
        texts = {n: " ".join(c["stimulus"] for c in self._cells(n)) for n in names}
        for text in [wanted] if isinstance(wanted, str) else wanted:
            for fitting in (
                [n for n, name in names.items() if name.casefold() == text.casefold()],
                [n for n, name in names.items() if name == self.columns.get(text)],
                [n for n, name in names.items() if name.casefold().startswith(f"{text.casefold()}:")],
                [n for n, name in names.items() if _word(text).search(name)],
                [n for n in names if _word(text).search(texts[n])],
            ):
                if len(fitting) == 1:
                    return fitting[0]
        raise Short(f"no outcome {wanted!r}; the study has {sorted(names.values())}")

    def _cells(self, number: int, condition: str = "") -> list[dict[str, Any]]:
        return [
            cell
            for cell in self.study["cells"]
            if cell["task_num"] == number and (not condition or _word(condition).search(cell["condition"]))
        ]

    def personas(self) -> list[dict[str, str]]:
        """The known demographic fields of each person."""
        path = self.folder / "people.csv"
        if not path.exists():
            study = self.study["study_id"]
            assert said("export", str(path), "--study", study, "--corpus", self.corpus)[2] == 0
        with path.open(encoding="utf-8-sig", newline="") as opened:
            people = {
                row["participant"]: json.loads(row["demographic"] or "{}") for row in csv.DictReader(opened)
            }
        return [{k: str(v) for k, v in known.items() if v not in (None, "")} for known in people.values()]

    # checks

    def check_all(self, checks: Check | Iterable[Check]) -> None:
        for check in [checks] if isinstance(checks, dict) else checks:
            (method,) = [m for key in check if (m := getattr(self, f"check_{key}", None))]
            method(check)

    def check_any_of(self, check: Check) -> None:
        reasons = []
        for alternative in check["any_of"]:
            try:
                return self.check_all(alternative)
            except Short as short:
                reasons.append(str(short))
        raise Short("; nor: ".join(reasons))

    def check_outcome(self, check: Check) -> None:
        cells = self._cells(self.outcome(check["outcome"]), check.get("condition", ""))
        scale, counts, n = cells[0]["scale"], dict[float, float](), sum(cell["n"] for cell in cells)
        for cell in cells:
            for value, count in cell["counts"].items():
                counts[float(value)] = counts.get(float(value), 0) + count
        known = all("mean" in cell for cell in cells)
        means = {float(cell["mean"]): cell["n"] for cell in cells} if known else counts
        labels = {float(value): text for value, text in (scale.get("labels") or {}).items()}
        options = sorted(labels) if scale["kind"] == "enum_labels" else _points(scale)
        came = {
            "n": n,
            "scale": [scale["low"], scale["high"]],
            "options": options,
            "mean": sum(value * count for value, count in means.items()) / n if n else None,
            "counts": {value: count for value, count in counts.items() if count},
            "counts_in_order": [counts.get(value, 0) for value in options],
            "counts_by_label": {
                labels.get(value, str(value)): count for value, count in counts.items() if count
            },
        }
        for key in came.keys() & check.keys():
            wanted = check[key]
            if key == "counts":
                wanted = {float(value): count for value, count in wanted.items() if count}
            if not _near(came[key], wanted, check.get("within", WITHIN)):
                raise Short(f"{key} of {check['outcome']!r} is {came[key]}, not {wanted}")

    def check_outcomes(self, check: Check) -> None:
        for wanted in check["outcomes"]:
            self.outcome(wanted)

    def check_not_outcomes(self, check: Check) -> None:
        for wanted in check["not_outcomes"] if self.study else ():
            try:
                number = self.outcome(wanted)
            except Short:
                continue
            raise Short(f"{wanted!r} is outcome {number}")

    def check_n_outcomes(self, check: Check) -> None:
        _same("outcomes", len(self.study["outcomes"]), check["n_outcomes"])

    def check_people(self, check: Check) -> None:
        if not self.study:
            raise Short(f"no study came in: {self.steps[-1].err}")
        _same("people", self.study["n_participants"], check["people"])

    def check_persona(self, check: Check) -> None:
        for field, wanted in check["persona"].items():
            values = {person[field].casefold() for person in self.personas() if field in person}
            _same(field, values, {value.casefold() for value in wanted})

    def check_not_in_persona(self, check: Check) -> None:
        for field in check["not_in_persona"]:
            _same(field, {person[field] for person in self.personas() if field in person}, set())

    def check_persona_without(self, check: Check) -> None:
        values = {value for person in self.personas() for value in person.values()}
        _same(
            "values",
            {text for text in check["persona_without"] for v in values if _word(text).search(v)},
            set(),
        )

    def check_effect(self, check: Check) -> None:
        number, pair = self.outcome(check["effect"]), (check["condition"], check["reference"])
        effects = [e for e in self.study["effects"] if e["task_num"] == number]
        effects = [e for e in effects if (e["condition"], e["reference"]) == pair]
        if not effects:
            raise Short(f"no effect of {pair} on {check['effect']!r}")
        for key in {"difference", "low", "high", "p", "d", "n", "n_reference"} & check.keys():
            if not _near(effects[0][key], check[key], check.get("within", WITHIN)):
                raise Short(f"{key} of {pair} is {effects[0][key]}, not {check[key]}")

    def check_says(self, check: Check) -> None:
        sentences = "\n".join(step.sentences for step in self.steps)
        for pattern in check["says"]:
            if not re.search(pattern, sentences, re.IGNORECASE):
                raise Short(f"nothing says {pattern!r}: {sentences}")

    def check_stderr_lacks(self, check: Check) -> None:
        _same("words", [text for text in check["stderr_lacks"] if text in self.steps[-1].err.casefold()], [])

    def check_exit_code(self, check: Check) -> None:
        if self.steps[-1].code != check["exit_code"]:
            raise Short(f"exit code {self.steps[-1].code}: {self.steps[-1].err}")

    def check_prints_outcomes(self, check: Check) -> None:
        mapping = self.steps[-1].mapping or {"outcomes": []}
        names = {name for outcome in mapping["outcomes"] for name in (outcome["name"], outcome.get("column"))}
        _same("outcomes that are not suggested", set(check["prints_outcomes"]) - names, set())

    def check_json(self, check: Check) -> None:
        printed = self.steps[-1].json or {}
        for key, wanted in check["json"].items():
            if not _near(printed.get(key), wanted, check.get("within", WITHIN)):
                raise Short(f"{key} is {printed.get(key)!r}, not {wanted!r}")

    def check_table(self, check: Check) -> None:
        path = Path(self._filled(check["table"]))
        if not path.exists():
            raise Short(f"{path.name} was not written: {self.steps[-1].err}")
        frame, _ = (pyreadstat.read_dta if path.suffix == ".dta" else pyreadstat.read_sav)(path)
        _same("rows", len(frame), check["rows"])
        _same("columns", set(frame) & set(check["not_columns"]), set())


def _points(scale: Mapping[str, Any]) -> list[float]:
    if scale["low"] is None:
        return []
    step = scale.get("step") or 1
    return [scale["low"] + n * step for n in range(round((scale["high"] - scale["low"]) / step) + 1)]


def _word(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE)


def _near(came: Any, wanted: Any, within: float) -> bool:
    """Whether a value is the wanted one; numbers within a distance, or between the two ends of a pair."""
    if isinstance(wanted, dict) and isinstance(came, dict):
        return came.keys() == wanted.keys() and all(_near(came[key], wanted[key], within) for key in wanted)
    if isinstance(came, list) or came is None or isinstance(wanted, str):
        return bool(came == wanted)
    if isinstance(wanted, list):
        return bool(wanted[0] <= came <= wanted[1])
    return wanted is not None and abs(float(came) - float(wanted)) <= within


def _same(what: str, came: object, wanted: object) -> None:
    if came != wanted:
        raise Short(f"{what}: {came}, not {wanted}")
