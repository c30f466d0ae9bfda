"""What importing does with a folder of your own files: read, asked, refused, or crashed; and whether counts are right.

    python -m benchmarks.files FOLDER [--csv TABLE.csv] [--seconds 300]

Fetches nothing, and writes nothing but the table that you name. Every file is tried in a process of its own, with a
new home; a .qsf is paired with the responses next to it whose name begins most like its own. Texts that a file does not
hold are filled with placeholders, so that every study can be imported. Then each outcome in each condition is counted
again with pandas, from the file as pandas or pyreadstat reads it, and compared with what `study --json` says.
"""

import argparse
import contextlib
import io
import json
import math
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.errors import UserError
from socrates_core.importing.build import import_study, preview
from socrates_core.importing.mapping import Mapping as StudyMapping
from socrates_core.importing.mapping import When
from socrates_core.importing.opening import Opened, open_files
from socrates_core.importing.suggest import describe_columns, find_questions
from socrates_core.records import Scale
from socrates_core.scales import read_answer

KINDS = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".sav", ".zsav", ".por", ".dta", ".sas7bdat", ".xpt")
SURVEY = ".qsf"
_ABSENT = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "#NULL!", ".")
_HEADERS = 3  # rows above the people that an export may have

Counts = dict[tuple[str, str], Counter[float]]


@dataclass
class Trial:
    """What became of one file, or of a survey with its responses.

    `state`: imported, asked (imported once texts were filled in or questions are open), refused, or crashed. `sentence`
    says why. `cells` are outcomes x conditions, of which `differing` have other counts than the recount.
    """

    files: list[str]
    state: str = "crashed"
    sentence: str = ""
    people: int = 0
    outcomes: int = 0
    left_out: int = 0
    cells: int = 0
    differing: list[str] = field(default_factory=list)
    source: str = ""
    seconds: float = 0.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--csv", type=Path, help="write the table here as well")
    arguments.add_argument("--seconds", type=int, default=300, help="after which a file counts as crashed")
    chosen = arguments.parse_args()
    if not chosen.folder.is_dir():
        sys.exit(f"{chosen.folder} is not a folder.")
    trials = []
    for files in pairs(chosen.folder):
        trial = _apart(files, chosen.seconds)
        trials.append(trial)
        print(_line(trial), flush=True)
    if not trials:
        sys.exit(f"No file in {chosen.folder} ends in one of {', '.join((*KINDS, SURVEY))}.")
    print(summary(trials))
    if chosen.csv:
        pd.DataFrame([asdict(trial) for trial in trials]).to_csv(chosen.csv, index=False)
    sys.exit(1 if any(trial.state == "crashed" or trial.differing for trial in trials) else 0)


def pairs(folder: Path) -> list[list[Path]]:
    """The files to try, in order; a survey comes with the responses next to it whose name begins most like its own."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    data = [path for path in files if path.suffix.lower() in KINDS]
    listed = [[path] for path in data]
    for survey in files:
        if survey.suffix.lower() == SURVEY:
            near = [path for path in data if path.parent == survey.parent]
            best = max(near, key=lambda path: _alike(path.stem, survey.stem), default=None)
            listed.append([survey, best] if best else [survey])
    return listed


def _alike(name: str, other: str) -> int:
    """How many characters two names begin with in common."""
    return next((n for n, pair in enumerate(zip(name, other, strict=False)) if pair[0] != pair[1]), len(name))


def summary(trials: Sequence[Trial]) -> str:
    """One line: how many files ended how, and how many cells were counted again."""
    states = Counter(trial.state for trial in trials)
    return (
        f"{len(trials):,} files: {states['imported']:,} imported, {states['asked']:,} asked, "
        f"{states['refused']:,} refused, {states['crashed']:,} crashed; "
        f"{sum(trial.cells for trial in trials):,} cells counted again, "
        f"{sum(len(trial.differing) for trial in trials):,} differ; {sum(t.seconds for t in trials):,.0f} s"
    )


def _line(trial: Trial) -> str:
    numbers = f"{trial.people:>7,} people {trial.outcomes:>4,} outcomes {trial.cells:>5,} cells {trial.seconds:>6.1f} s"
    differ = f" DIFFER: {'; '.join(trial.differing[:3])}" if trial.differing else ""
    return f"{trial.state:<9} {numbers}  {' + '.join(trial.files)}  {trial.sentence}{differ}"


def _apart(files: Sequence[Path], seconds: int) -> Trial:
    """The trial in a process of its own, so that no file can end this one."""
    names = [path.name for path in files]
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(
            ["socrates_core.importing.opening", "socrates_core.__main__", "pyreadstat"]
        )
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as home:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_send, args=(files, home, sender))
        process.start()
        sender.close()
        try:
            trial = receiver.recv() if receiver.poll(seconds) else None
            ending = f"not done after {seconds} s"
        except EOFError:
            process.join()
            trial, ending = None, f"the process ended with code {process.exitcode}"
        process.kill()
        process.join()
    trial = trial or Trial(names, sentence=ending)
    trial.seconds = time.perf_counter() - begun
    return trial


def _send(files: Sequence[Path], home: str, sender: Any) -> None:
    os.environ["SOCRATES_HOME"] = home
    try:
        trial = attempt(files)
    except Exception as error:  # noqa: BLE001  a crash is what this looks for
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        trial = Trial([path.name for path in files], sentence=reason)
    sender.send(trial)


def attempt(files: Sequence[Path]) -> Trial:
    """Opens, imports, and counts again, in the home of this process."""
    trial = Trial([path.name for path in files])
    try:
        opened = open_files(files)
        mapping = filled(opened.suggested)
        questions = list(find_questions(describe_columns(opened.table), mapping, opened.table))
        if not mapping.outcomes:
            trial.state, trial.sentence = "asked", "which columns hold answers"
            return trial
        seen = preview(opened.table, mapping)
        if seen.problems:
            trial.state, trial.sentence = "refused", seen.problems[0]
            return trial
        name = import_study(opened.table, mapping)
    except UserError as error:
        trial.state, trial.sentence = "refused", str(error)
        return trial
    stated = _study(mapping.study.study_id, name)
    asked = bool(questions) or mapping != opened.suggested
    trial.state, trial.sentence = (
        ("asked", (questions or ["missing texts"])[0]) if asked else ("imported", "")
    )
    trial.people, trial.outcomes = stated["n_participants"], stated["n_outcomes"]
    trial.left_out = len(opened.left_out)
    frame, trial.source = raw_frame(opened, [path for path in files if path.suffix.lower() != SURVEY][-1])
    trial.cells = len(stated["cells"])
    trial.differing = differences(recount(frame, mapping), stated["cells"])
    return trial


def filled(mapping: StudyMapping) -> StudyMapping:
    """The mapping with a placeholder for every text that is missing."""
    several = len(mapping.conditions) > 1
    conditions = tuple(
        c.model_copy(update={"text": c.text or (f"Text of {c.name}." if several else "")})
        for c in mapping.conditions
    )
    outcomes = tuple(
        o.model_copy(update={"question": o.question or f"Question {o.name}?"}) for o in mapping.outcomes
    )
    return mapping.model_copy(update={"conditions": conditions, "outcomes": outcomes})


def _study(study_id: str, corpus: str) -> Any:
    """What `study ID --corpus NAME --json` prints."""
    from socrates_core.__main__ import main as command_line

    printed = io.StringIO()
    before = sys.argv
    sys.argv = ["socrates_core", "study", study_id, "--corpus", corpus, "--json"]
    try:
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            command_line()
    finally:
        sys.argv = before
    return json.loads(printed.getvalue())


def raw_frame(opened: Opened, path: Path) -> tuple[pd.DataFrame, str]:
    """The cells as text, as another reader has them, where its rows and names are those of the file; and its name.

    Columns that the project works out, such as ticks that share a cell, come from the table.
    """
    frame = opened.table.frame
    try:
        raw, source = _read(path, opened)
    except (ValueError, KeyError, OSError) as error:
        return frame, f"the project's own table ({type(error).__name__})"
    raw = raw.map(_text)
    raw.columns = pd.Index([" ".join(str(name).split()) for name in raw.columns])
    raw = raw.dropna(how="all").reset_index(drop=True)
    above = len(raw) - len(frame)
    if not 0 <= above <= _HEADERS:
        return frame, "the project's own table (other rows)"
    raw = raw.iloc[above:].reset_index(drop=True)
    same = [name for name in frame if name in raw and (raw.columns == name).sum() == 1]
    return frame.assign(
        **{str(name): raw[name] for name in same}
    ), f"{source}, {len(same)} of {frame.shape[1]} columns"


def _read(path: Path, opened: Opened) -> tuple[pd.DataFrame, str]:
    import pyreadstat

    statistical: dict[str, Any] = {
        ".sav": pyreadstat.read_sav,
        ".zsav": pyreadstat.read_sav,
        ".dta": pyreadstat.read_dta,
        ".por": pyreadstat.read_por,
    }
    if read := statistical.get(path.suffix.lower()):
        encoding = {} if path.suffix.lower() == ".por" else {"encoding": opened.table.encoding}
        return read(path, disable_datetime_conversion=True, **encoding)[0], "pyreadstat"
    match path.suffix.lower():
        case ".xpt":
            return pd.read_sas(path, format="xport", encoding="latin-1"), "pandas"
        case ".sas7bdat":
            return pd.read_sas(path, format="sas7bdat", encoding=opened.table.encoding), "pandas"
        case ".xlsx":
            sheet = opened.table.sheet or 0
            return pd.read_excel(path, sheet_name=sheet, dtype=object, keep_default_na=False), "pandas"
    text = path.read_text(encoding=opened.table.encoding, errors="replace")
    skipped = 1 if text.lstrip('\ufeff"').lower().startswith("sep=") else 0
    header = text.splitlines()[skipped]
    separator = max(",;\t|", key=header.count)
    return (
        pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=str,
            keep_default_na=False,
            skiprows=skipped,
            index_col=False,
        ),
        "pandas",
    )


def _text(cell: Any) -> Any:
    if pd.isna(cell):
        return pd.NA
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    text = str(cell).strip()
    return pd.NA if text in _ABSENT else text


def recount(frame: pd.DataFrame, mapping: StudyMapping) -> Counts:
    """How many people gave each number, by condition and outcome, after the mapping alone."""
    rows = frame
    for keep in mapping.keep:
        rows = rows[_among(rows[keep.column], keep.values)]
    if mapping.participant:
        rows = rows[rows[mapping.participant].notna()]
        if mapping.layout == "wide":
            rows = rows[~rows[mapping.participant].duplicated()]
    person = rows[mapping.participant] if mapping.participant else pd.Series(rows.index, index=rows.index)
    given = list[tuple[Any, str, str, float]]()
    for outcome in mapping.outcomes:
        for condition in mapping.conditions:
            column = outcome.column_in(condition.name)
            if not column:
                continue
            here = rows[_rows_of(rows, condition.when) & _rows_of(rows, outcome.when)]
            for who, cell in zip(person[here.index], here[column], strict=True):
                number = _number(cell, outcome.values, outcome.missing, outcome.scale_in(condition.name))
                if number is not None:
                    given.append((who, condition.name, outcome.name, number))
    conditions_of = dict[Any, set[str]]()
    for who, condition_name, _, _ in given:
        conditions_of.setdefault(who, set()).add(condition_name)
    counts: Counts = {}
    for who, condition_name, outcome_name, number in given:
        if mapping.study.design != "between" or len(conditions_of[who]) == 1:
            counts.setdefault((condition_name, outcome_name), Counter())[number] += 1
    return counts


def _rows_of(rows: pd.DataFrame, when: When) -> "pd.Series[bool]":
    fits = pd.Series(True, index=rows.index)
    for column, cells in when.items():
        fits &= _among(rows[column], cells)
    return fits


def _among(column: "pd.Series[Any]", cells: Sequence[str]) -> "pd.Series[bool]":
    wanted = set(cells)
    return column.astype("str").map(_plain, na_action="ignore").isin(wanted)


def _plain(cell: str) -> str:
    """A number without needless decimals, as a mapping writes it."""
    head, _, decimals = cell.partition(".")
    return head if decimals and not decimals.strip("0") and head.lstrip("-").isdigit() else cell


def _number(
    cell: Any, values: Mapping[str, float | int], missing: Sequence[str], scale: Scale
) -> float | None:
    if pd.isna(cell):
        return None
    text = _plain(str(cell))
    if text in missing:
        return None
    if text in values:
        return float(values[text])
    for written in (text, text.replace(",", ".")):
        try:
            number = float(written)
        except ValueError:
            continue
        return number if math.isfinite(number) else None
    if not scale.labels:
        return None
    read = read_answer(text, scale).value
    return None if read is None else float(read)


def _on_scale(value: float, scale: Mapping[str, Any]) -> bool:
    if scale["kind"] == "enum_labels":
        return value in {float(option) for option in scale["labels"]}
    return scale["low"] is None or scale["low"] <= value <= scale["high"]


def differences(counts: Counts, cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each cell whose number of answers, or of answers at a value, is not that of the recount."""
    wrong = []
    seen = set[tuple[str, str]]()
    for cell in cells:
        key = (cell["condition"], cell["outcome"])
        seen.add(key)
        counter = counts.get(key, Counter())
        total = sum(counter.values())
        if total != cell["n"] + cell["n_off_scale"]:
            wrong.append(f"{key}: {cell['n'] + cell['n_off_scale']} answers, counted {total}")
            continue
        stated = {float(value): float(n) for value, n in cell["counts"].items() if n}
        if all(value.is_integer() for value in counter) and cell["scale"]["step"] == 1:
            on = {value: float(n) for value, n in counter.items() if _on_scale(value, cell["scale"])}
            if stated != on:
                wrong.append(f"{key}: {stated}, counted {on}")
    wrong += [
        f"{key}: no cell, counted {sum(counter.values())}"
        for key, counter in counts.items()
        if key not in seen
    ]
    return wrong


if __name__ == "__main__":
    main()
