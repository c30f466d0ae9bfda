"""Turns a table and its mapping into a corpus; a preview counts and checks everything before anything is written."""

import math
import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from socrates_core.corpus.store import corpora, write_corpus
from socrates_core.corpus.tables import WHOLE_NUMBERS, on_scale, scale_text
from socrates_core.errors import UserError
from socrates_core.importing.check import find_faults, find_problems
from socrates_core.importing.mapping import DemographicSpec, Mapping, When, render_mapping
from socrates_core.importing.no_answer import is_no_answer
from socrates_core.importing.table import Table, shortened
from socrates_core.importing.traits import year_in
from socrates_core.prompts import render_prompt, render_stimulus
from socrates_core.records import DEMOGRAPHICS, Design, Number, Prompt, Scale, factors_of
from socrates_core.scales import read_answer, render_instruction
from socrates_core.settings import home

_MOST = {"age": 120, "household_size": 100}  # 1983 is a year of birth
# Body weight may have such a name too; the warning names the column, so a person can tell.
_WEIGHT = re.compile(
    r"(?:.*[_ .-])?(?:weights?|wts?|wgt|p(?:ost)?weight|iweight|gewicht|peso|ponderation)(?:[_ .-]\w{0,12}|\d{0,3})"
    r"|wtss\w*",
    re.IGNORECASE,
)
_BLOCK = re.compile(
    r"(?:.*[_ .-])?(?:block|strat(?:um|a))(?:[_ .-]?(?:id|no|nr|num|number|code))?", re.IGNORECASE
)
_CLUSTER = re.compile(
    r"(?:.*[_ .-])?(?:cluster|psu|class(?:room)?|school|village|ward|clinic|hospital|household|hh|team|session|group"
    r"|district|site|store|teacher)(?:[_ .-]?(?:id|no|nr|num|number|code))?",
    re.IGNORECASE,
)
MAX_LABELS = 1_000  # different texts that are read as labels; a column with more holds free text
MAPPING = "mapping.yaml"  # the file in a corpus that says how it was imported


@dataclass(frozen=True)
class ParsedOutcome:
    """An outcome as it will be stored, with the numbers of its answers on and off the scale."""

    name: str
    instruction: str
    scale: Scale
    n: int
    n_off_scale: int


@dataclass
class Preview:
    """What an import would do.

    `frames` are the four tables of the corpus, empty if there are `problems`, each of which stops the import;
    `assignment` are people's clusters, blocks, and weights, empty if the mapping names none.
    `dropped` are reasons with the number of rows or answers that they cost; `remarks` are sentences about what a
    person should know but need not change, known as soon as the answers can be read. `prompts` are up to three
    examples of what a model would get.
    """

    frames: dict[str, pd.DataFrame] = field(default_factory=dict)
    assignment: pd.DataFrame = field(default_factory=pd.DataFrame)
    dropped: list[tuple[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    outcomes: list[ParsedOutcome] = field(default_factory=list)

    def drop(self, reason: str, n: float) -> None:
        if n:
            self.dropped.append((reason, int(n)))

    @property
    def sentences(self) -> list[str]:
        """The remarks, and what is left out."""
        return [*self.remarks, *(f"Dropped: {n:,} {reason}." for reason, n in self.dropped)]


def preview(table: Table, mapping: Mapping, tell: Callable[[int, int], None] | None = None) -> Preview:
    """Everything that `import_study` would write, drop or refuse. Writes nothing.

    `tell` gets how many outcomes are done, of how many, and may raise to stop.
    """
    seen = Preview(problems=find_problems(table, mapping))
    if find_faults(table, mapping):
        return seen
    rows = _kept_rows(table.frame, mapping, seen)
    answers = _answers(rows, mapping, seen, tell)
    if mapping.study.design == "between":
        answers = _in_one_condition(answers, seen)
    if answers.empty:
        lost = "; ".join(f"{n:,} {reason}" for reason, n in seen.dropped)
        seen.problems.append(f"No answers are left to import ({lost or 'the outcome columns are empty'}).")
        return seen
    people = _people(rows, answers, mapping, seen)
    seen.frames = _frames(mapping, answers, people, seen)
    seen.assignment = _assignment(rows, answers, mapping, seen)
    _remark(mapping, answers, seen)
    seen.remarks += _unnamed_designs(rows, mapping)
    if tell:
        tell(len(mapping.outcomes), len(mapping.outcomes))
    if seen.problems:
        return replace(seen, frames={}, assignment=pd.DataFrame())
    seen.prompts = _prompts(seen.frames)
    return seen


def import_study(
    table: Table, mapping: Mapping, name: str | None = None, tell: Callable[[int, int], None] | None = None
) -> str:
    """Writes the study as a separate corpus, called `name` or by its study id, and returns that name.

    The mapping is kept in the corpus as mapping.yaml. An earlier import of that name is replaced; nothing is written
    if anything is wrong. Raises UserError with the first problems, or if another kind of corpus has the name.
    """
    name = name or mapping.study.study_id
    seen = preview(table, mapping, tell)
    if seen.problems:
        raise UserError(" ".join(seen.problems[:3]))
    if name in corpora() and not is_own_study(name):
        raise UserError(
            f"The name {name!r} belongs to a corpus that is not an import of a file. Choose another study id."
        )
    study = mapping.study
    frames = seen.frames
    write_corpus(
        name,
        title=study.title,
        source=study.source,
        texts={MAPPING: render_mapping(mapping)},
        studies=frames["studies"],
        stimuli=frames["stimuli"],
        participants=frames["participants"],
        responses=frames["responses"],
        assignment=seen.assignment,
        designs={study.study_id: design_of(mapping, frames["stimuli"]["condition_num"].unique())},
    )
    return name


def design_of(mapping: Mapping, answered: Iterable[int]) -> Design:
    """How the people of a mapped study were assigned; `answered` are the conditions in which somebody answered."""
    conditions = [mapping.conditions[number] for number in sorted(answered)]
    return Design(
        assignment=mapping.study.design,
        cluster=mapping.cluster or "",
        block=mapping.block or "",
        weight=mapping.weight or "",
        factors=factors_of([condition.levels or _cells(condition.when) for condition in conditions]),
    )


def _cells(when: When) -> dict[str, str]:
    """The columns that make a condition as factors, where there are several and each has one cell."""
    crossed = len(when) > 1 and all(len(cells) == 1 for cells in when.values())
    return {column: cells[0] for column, cells in when.items()} if crossed else {}


def is_own_study(name: str) -> bool:
    """Whether the corpus `name` came from `import_study`, which may replace it."""
    return (home() / "corpora" / name / MAPPING).is_file()


def _holds(rows: pd.DataFrame, when: When) -> pd.Series:
    fits = pd.Series(True, index=rows.index)
    for column, cells in when.items():
        fits &= rows[column].isin(cells)
    return fits


def _kept_rows(frame: pd.DataFrame, mapping: Mapping, seen: Preview) -> pd.DataFrame:
    """The rows that count, indexed by participant number."""
    rows = frame
    for keep in mapping.keep:
        fits = rows[keep.column].isin(keep.values)
        reason = keep.reason or f"{keep.column} is not {' or '.join(keep.values)}"
        seen.drop(f"rows: {reason}", (~fits).sum())
        rows = rows[fits]
    if mapping.participant is None:
        return rows
    nameless = rows[mapping.participant].isna()
    seen.drop(f"rows: {mapping.participant} is empty", nameless.sum())
    rows = rows[~nameless]
    if mapping.layout == "wide":
        again = rows.duplicated(mapping.participant)
        seen.drop(f"rows: a second row of the same {mapping.participant}", again.sum())
        rows = rows[~again]
    return rows.set_index(_numbered(rows[mapping.participant]))


def _numbered(names: pd.Series) -> pd.Index:
    """The participants' own numbers if they are whole, or else their order of appearance."""
    numbers = pd.to_numeric(names, errors="coerce")
    # 18 digits always fit into an int64. "01" and "1" may be two people, so numbers must tell all names apart.
    whole = names.str.fullmatch(r"\d{1,18}").all() and numbers.nunique() == names.nunique()
    return pd.Index(names.astype("int64") if whole else pd.factorize(names)[0])


def _answers(
    rows: pd.DataFrame, mapping: Mapping, seen: Preview, tell: Callable[[int, int], None] | None
) -> pd.DataFrame:
    """A row for each answer: participant, condition_num, task_num, response."""
    parts = []
    unread = dict[str, int]()
    absent = 0
    in_condition = [_holds(rows, condition.when) for condition in mapping.conditions]
    nowhere = ~pd.concat(in_condition, axis=1).any(axis=1)
    seen.drop("rows: in none of the conditions", nowhere.sum())
    for task_num, outcome in enumerate(mapping.outcomes):
        if tell:
            tell(task_num, len(mapping.outcomes))
        applies = _holds(rows, outcome.when)
        for condition_num, condition in enumerate(mapping.conditions):
            column = outcome.column_in(condition.name)
            if not column:
                continue
            cells = rows.loc[applies & in_condition[condition_num], column]
            given = cells[cells.notna() & ~cells.isin(outcome.missing)]
            response = _as_numbers(given, outcome.values, outcome.scale_in(condition.name))
            absent += len(cells) - len(given)
            unread[outcome.name] = unread.get(outcome.name, 0) + int(response.isna().sum())
            parts.append(_part(response.dropna(), condition_num, task_num))
    seen.drop("answers: empty or a missing code", absent)
    for name, n in unread.items():
        seen.drop(f"answers: neither a number nor a label of the scale of {name!r}", n)
    return pd.concat(parts, ignore_index=True)


def _as_numbers(cells: pd.Series, values: MappingOf[str, Number], scale: Scale) -> pd.Series:
    """Each cell [n] as a number; NaN if it cannot be read.

    A cell is read by `values`, or else as a number, or else as a label of the scale ("Agree", "7 - Agree").
    """
    numbers = pd.to_numeric(cells, errors="coerce").astype(float)
    numbers = numbers.where(numbers.abs() < math.inf)  # pandas reads "inf" as a number
    by_values = cells.map({cell: float(value) for cell, value in values.items()})
    numbers = by_values.astype(float).fillna(numbers)
    texts = cells[numbers.isna()].unique()
    if scale.labels and 0 < len(texts) <= MAX_LABELS:
        read = {text: read_answer(str(text), scale).value for text in texts}
        numbers = numbers.fillna(
            cells.map({text: value for text, value in read.items() if value is not None})
        )
    return numbers


def _part(response: pd.Series, condition_num: int, task_num: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "participant": response.index.astype("int64"),
            "condition_num": condition_num,
            "task_num": task_num,
            "response": response.to_numpy(dtype=float),
        }
    )


def _in_one_condition(answers: pd.DataFrame, seen: Preview) -> pd.DataFrame:
    several = answers.groupby("participant")["condition_num"].transform("nunique") > 1
    people = answers.loc[several, "participant"].nunique()
    seen.drop("people: in more than one condition, which a design 'between' people rules out", people)
    return answers[~several]


def _people(rows: pd.DataFrame, answers: pd.DataFrame, mapping: Mapping, seen: Preview) -> pd.DataFrame:
    """A row for each person who answered: participant and the 16 demographic fields, missing if unknown."""
    first = rows.groupby(level=0).first() if not rows.index.is_unique else rows
    first = first.loc[answers["participant"].unique()]
    people = pd.DataFrame({"participant": first.index.to_numpy()}).reindex(
        columns=["participant", *DEMOGRAPHICS]
    )
    for name, demographic in mapping.demographics.items():
        words = _in_words(first, demographic).reset_index(drop=True)
        if name in WHOLE_NUMBERS:
            numbers = pd.to_numeric(words, errors="coerce")
            numbers = numbers.where(numbers.between(1, _MOST[name])).round()
            if lost := int((words.notna() & numbers.isna()).sum()):
                worked_out = " minus the year of birth" if demographic.year else ""
                seen.remarks.append(
                    f"{lost:,} cells of {demographic.column!r}{worked_out} are not numbers from 1 to {_MOST[name]}, so "
                    f"{name} is missing there."
                )
            words = numbers
        people[name] = words.astype(object).where(words.notna(), None)
    return people.astype(object)


def _in_words(rows: pd.DataFrame, demographic: DemographicSpec) -> pd.Series:
    """A demographic field's cells as a persona says them; missing where there is no answer."""
    said = rows[demographic.column]
    words = said.map(demographic.values).fillna(said) if demographic.values else said
    words = words.mask(words.isin([word for word in words.dropna().unique() if is_no_answer(str(word))]))
    if not demographic.year:
        return words
    column = demographic.year_column
    asked = rows[column].map(year_in, na_action="ignore") if column else int(demographic.year)
    ages = pd.to_numeric(asked, errors="coerce") - pd.to_numeric(words, errors="coerce")
    # A cell that is no year stays, so that the remark counts it.
    return ages.astype(object).where(ages.notna(), words)


def trait_examples(table: Table, mapping: Mapping, most: int = 3) -> dict[str, list[str]]:
    """Demographic field -> its most frequent values, as a persona would say them, for a person to check."""
    examples = {}
    for name, demographic in mapping.demographics.items():
        if {demographic.column, demographic.year_column} - {""} <= set(table.frame.columns):
            counts = _in_words(table.frame, demographic).dropna().astype("str").value_counts()
            examples[name] = [re.sub(r"\.0$", "", str(word)) for word in counts.index[:most]]
    return examples


def _frames(
    mapping: Mapping, answers: pd.DataFrame, people: pd.DataFrame, seen: Preview
) -> dict[str, pd.DataFrame]:
    study = mapping.study
    n_outcomes = len(mapping.outcomes)
    names = [condition.name for condition in mapping.conditions]
    notes = [*study.notes, *(f"Left out at import: {n:,} {reason}." for reason, n in seen.dropped)]
    row = study.model_dump(exclude={"reference", "notes"})
    row |= {"reference_condition": names.index(study.reference) if study.reference else None, "notes": notes}
    answers = answers.assign(stimulus_id=answers["condition_num"] * n_outcomes + answers["task_num"])
    answers = answers.sort_values(["participant", "stimulus_id"], kind="stable", ignore_index=True)
    stimuli = pd.DataFrame(_stimuli(mapping, set(answers["stimulus_id"])))
    responses = answers[["participant", "stimulus_id", "response"]].assign(sample_id=answers.index)
    frames = {
        "studies": pd.DataFrame([row]),
        "stimuli": stimuli,
        "participants": people,
        "responses": responses,
    }
    return {name: frame.assign(study_id=study.study_id) for name, frame in frames.items()}


def _stimuli(mapping: Mapping, answered: set[int]) -> list[dict[str, object]]:
    stimuli = []
    for condition_num, condition in enumerate(mapping.conditions):
        for task_num, outcome in enumerate(mapping.outcomes):
            stimulus_id = condition_num * len(mapping.outcomes) + task_num
            if stimulus_id not in answered:
                continue
            scale = outcome.scale_in(condition.name)
            question = outcome.question_in(condition.name)
            stimuli.append(
                {
                    "stimulus_id": stimulus_id,
                    "condition_num": condition_num,
                    "task_num": task_num,
                    "stimulus": render_stimulus(condition.text, question, render_instruction(scale)),
                    "condition_name": condition.name,
                    "outcome_name": outcome.name,
                    "condition_text": condition.text,
                    "question": question,
                    "scale": scale_text(scale),
                }
            )
    return stimuli


def _remark(mapping: Mapping, answers: pd.DataFrame, seen: Preview) -> None:
    """Fills in the parsed outcomes, and remarks on what is odd about the answers and the texts."""
    for task_num, outcome in enumerate(mapping.outcomes):
        given = answers[answers["task_num"] == task_num]
        off = 0
        for condition_num, responses in given.groupby("condition_num")["response"]:
            scale = outcome.scale_in(mapping.conditions[int(str(condition_num))].name)
            off += int(np.isnan(on_scale(responses.to_numpy(dtype=float), scale)).sum())
        scale = outcome.scale.scale()
        seen.outcomes.append(
            ParsedOutcome(outcome.name, render_instruction(scale), scale, len(given) - off, off)
        )
        if given.empty:
            seen.remarks.append(f"The outcome {outcome.name!r} has no answers.")
        if off:
            seen.remarks.append(
                f"{off:,} of {len(given):,} answers to {outcome.name!r} are off its scale. "
                "They are kept and counted, but left out of what is shown."
            )
    empty = set(range(len(mapping.conditions))) - set(answers["condition_num"])
    seen.remarks += [f"The condition {mapping.conditions[n].name!r} has no answers." for n in sorted(empty)]
    texts = seen.frames["stimuli"].groupby("stimulus")["condition_num"].nunique()
    if (texts > 1).any():
        seen.remarks.append(
            "Some conditions have the same text, so a model cannot tell them apart. "
            "Write what people in each condition read."
        )


def _assignment(rows: pd.DataFrame, answers: pd.DataFrame, mapping: Mapping, seen: Preview) -> pd.DataFrame:
    """Each person's cluster, block, and weight, of the person's first row; empty if the mapping names none."""
    columns = {"cluster": mapping.cluster, "block": mapping.block, "weight": mapping.weight}
    if not any(columns.values()):
        return pd.DataFrame()
    first = rows.groupby(level=0).first() if not rows.index.is_unique else rows
    first = first.loc[answers["participant"].unique()]
    people = pd.DataFrame({"study_id": mapping.study.study_id, "participant": first.index.to_numpy()})
    for name, column in columns.items():
        cells = first[column].reset_index(drop=True) if column else pd.Series([None] * len(first))
        people[name] = cells.map(_name_of_group if name != "weight" else lambda cell: cell).astype(object)
    weights = pd.to_numeric(people["weight"], errors="coerce").astype(float)
    people["weight"] = weights.where((weights > 0) & (weights < math.inf))
    if mapping.weight and (lost := int(people["weight"].isna().sum())):
        seen.remarks.append(
            f"{_people_have(lost)} no weight above 0 in {mapping.weight!r}. Weighted means, shares and effects leave "
            "them out."
        )
    for name, each_alone in (("cluster", "counts as a cluster alone"), ("block", "is left out of effects")):
        if columns[name] and (lost := int(people[name].isna().sum())):
            seen.remarks.append(
                f"{_people_have(lost)} no value in {columns[name]!r}. Each of them {each_alone}."
            )
    return people


def _name_of_group(cell: object) -> str | None:
    """A cell as the name of a cluster or block; None for an empty one."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return None
    text = f"{cell:.15g}" if isinstance(cell, float) else str(cell).strip()
    return text or None


def _people_have(n: int) -> str:
    return "1 person has" if n == 1 else f"{n:,} people have"


def _unnamed_designs(rows: pd.DataFrame, mapping: Mapping) -> list[str]:
    """Remarks on columns that look like weights or groups of people and that the mapping does not name."""
    free = [str(name) for name in rows if name not in set(mapping.columns())]
    weights = [] if mapping.weight else [name for name in free if _WEIGHT.fullmatch(name)]
    groups = []
    if not mapping.cluster and len(mapping.conditions) > 1:
        groups = [
            name
            for name in free
            if _CLUSTER.fullmatch(name) and _assigned_together(rows[name], rows, mapping)
        ]
    blocks = [] if mapping.block or len(mapping.conditions) < 2 else [n for n in free if _BLOCK.fullmatch(n)]
    remarks = []
    if blocks:
        remarks.append(
            f"A column looks like blocks ({shortened(blocks)}). It is not used. If people were randomized within "
            "blocks, name it as the block column (block: in the mapping)."
        )
    if weights:
        remarks.append(
            f"A column looks like people's weights ({shortened(weights)}). It is not used: every person counts once. "
            "If people should be weighted, name it as the weight column (weight: in the mapping)."
        )
    if groups:
        remarks.append(
            f"A column looks like groups that were assigned together ({shortened(groups)}). It is not used, so "
            "intervals are too narrow if whole groups were assigned. If they were, name it as the cluster column "
            "(cluster: in the mapping)."
        )
    return remarks


def _assigned_together(groups: pd.Series, rows: pd.DataFrame, mapping: Mapping) -> bool:
    """Whether everybody in a group is in one condition, for more groups than conditions."""
    arms = pd.concat([_holds(rows, condition.when) for condition in mapping.conditions], axis=1)
    number = arms.to_numpy().argmax(axis=1)
    met = (
        pd.Series(number, index=groups.index)[arms.any(axis=1)]
        .groupby(groups[arms.any(axis=1)])
        .agg(["nunique", "size"])
    )
    # The second limit rules out columns with a value for each person, such as ids.
    return len(mapping.conditions) < len(met) < met["size"].sum() and bool((met["nunique"] == 1).all())


def _prompts(frames: MappingOf[str, pd.DataFrame]) -> list[Prompt]:
    """Up to three prompts for different people, from stimuli spread over the study."""
    stimuli = frames["stimuli"]
    people = frames["participants"].set_index("participant")
    answered = frames["responses"].groupby("stimulus_id")["participant"]
    prompts = dict[int, Prompt]()
    for place in (0, len(stimuli) // 3 or 1, 2 * len(stimuli) // 3 or 2):
        stimulus = stimuli.iloc[place % len(stimuli)]
        who = answered.get_group(stimulus["stimulus_id"])
        person = int(next((one for one in who if one not in prompts), who.iloc[0]))
        profile = people.loc[person, list(DEMOGRAPHICS)].dropna().to_dict()
        prompts[person] = render_prompt(
            {str(key): value for key, value in profile.items()}, stimulus["stimulus"]
        )
    return list(prompts.values())
