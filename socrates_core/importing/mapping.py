"""What the columns of a data file mean: demographics, conditions, outcomes. Kept as YAML, to import the same again."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from socrates_core.errors import UserError, unknown
from socrates_core.files import write_text
from socrates_core.importing.table import Format
from socrates_core.records import DEMOGRAPHICS, Number, Scale
from socrates_core.surveys.draft import ScaleField
from socrates_core.yaml_files import load_yaml, parse_yaml, validated


def _as_tuple(value: Any) -> Any:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _as_cell(value: Any) -> Any:
    """A cell as a table has it: whole numbers without decimals."""
    return re.sub(r"^(-?\d+)\.0+$", r"\1", str(value).strip()) if isinstance(value, str | float) else value


Cell = Annotated[str, BeforeValidator(_as_cell)]
Cells = Annotated[tuple[Cell, ...], BeforeValidator(_as_tuple)]
When = dict[str, Cells]  # column -> the cells that count; a row must fit every column


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class StudySpec(_Spec):
    """The study's description; `reference` names the condition that effects are measured against."""

    study_id: str
    title: str
    topic: str = ""
    source: str = ""
    url: str = ""
    licence: str = ""
    wording: Literal["instrument", "partly", "rebuilt"] = "partly"
    design: Literal["between", "within"] = "between"
    reference: str = ""
    notes: tuple[str, ...] = ()


class DemographicSpec(_Spec):
    """The column of a demographic field; `values` puts its cells in other words.

    Where the column holds years of birth, `year` says when people were asked: a year, or a column with dates or years.
    """

    column: str
    values: dict[Cell, str] = Field(default_factory=dict)
    year: str = ""

    @property
    def year_column(self) -> str:
        """The column that says when people were asked; empty if a year says so for all."""
        return "" if re.fullmatch(r"\d{4}", self.year) else self.year


class ConditionSpec(_Spec):
    """What one group read, and the rows that were in it (all rows if `when` is empty).

    `levels` says which level of each factor it has, such as {tone: warm}, where conditions are crossed. A text that a
    model `proposed` waits for a person to accept it.
    """

    name: str
    text: str = ""
    when: When = Field(default_factory=dict)
    levels: dict[str, str] = Field(default_factory=dict)
    proposed: bool = False


class OutcomeSpec(_Spec):
    """A question, its scale and the column with the answers.

    `column_by_condition`, `text_by_condition` and `scale_by_condition` replace `column`, `question` and `scale` in
    the conditions that they name. `when` chooses rows, for files with a row for each answer. `values` turns cells
    into numbers; other cells are read as numbers or as labels of the scale. Cells in `missing` are not answers.
    A question that a model `proposed` waits for a person to accept it.
    """

    name: str
    question: str = ""
    scale: ScaleField
    column: str = ""
    column_by_condition: dict[str, str] = Field(default_factory=dict)
    text_by_condition: dict[str, str] = Field(default_factory=dict)
    scale_by_condition: dict[str, ScaleField] = Field(default_factory=dict)
    when: When = Field(default_factory=dict)
    values: dict[Cell, Number] = Field(default_factory=dict)
    missing: Cells = ()
    proposed: bool = False

    def column_in(self, condition: str) -> str:
        return self.column_by_condition.get(condition, self.column)

    def question_in(self, condition: str) -> str:
        return self.text_by_condition.get(condition, self.question)

    def scale_in(self, condition: str) -> Scale:
        return self.scale_by_condition.get(condition, self.scale).scale()


class KeepSpec(_Spec):
    """Only rows whose `column` holds one of `values` count; `reason` says why the others do not."""

    column: str
    values: Cells
    reason: str = ""


class Mapping(_Spec):
    """What a data file means. `layout` is wide (a row for each person) or long (several rows for each person).

    `participant` is the column that tells people apart; without it, every row is a person. `cluster`, `block` and
    `weight` name the columns of groups that were assigned together, of groups within which people were randomized, and
    of what each person counts. All inference about people respects them.
    """

    study: StudySpec
    layout: Literal["wide", "long"] = "wide"
    participant: str | None = None
    cluster: str | None = None
    block: str | None = None
    weight: str | None = None
    demographics: dict[str, DemographicSpec] = Field(default_factory=dict)
    conditions: tuple[ConditionSpec, ...]
    outcomes: tuple[OutcomeSpec, ...]
    keep: tuple[KeepSpec, ...] = ()
    encoding: str = ""
    sheet: str = ""

    @property
    def format(self) -> Format:
        """How the file is read."""
        return Format(self.encoding, self.sheet)

    @model_validator(mode="after")
    def _fits(self) -> "Mapping":
        for name in self.demographics:
            if name not in DEMOGRAPHICS:
                raise ValueError(str(unknown("demographic field", name, DEMOGRAPHICS)))
            if name != "age" and self.demographics[name].year:
                raise ValueError(f"{name!r} has a year; only an age is worked out of a year of birth")
        known = [condition.name for condition in self.conditions]
        outcomes = [outcome.name for outcome in self.outcomes]
        for names, what in ((known, "condition"), (outcomes, "outcome")):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"two {what}s are called {twice!r}; names must differ")
        for outcome in self.outcomes:
            for name in {
                **outcome.column_by_condition,
                **outcome.text_by_condition,
                **outcome.scale_by_condition,
            }:
                if name not in known:
                    raise ValueError(str(unknown("condition", name, known)))
        if self.study.reference and self.study.reference not in known:
            raise ValueError(str(unknown("reference condition", self.study.reference, known)))
        if self.layout == "long" and self.participant is None:
            raise ValueError(
                "a file with several rows for each person needs the column that tells people apart"
            )
        return self

    def columns(self) -> list[str]:
        """Every column that the mapping names, each once."""
        columns = [name for name in (self.participant, self.cluster, self.block, self.weight) if name]
        for demographic in self.demographics.values():
            columns += [demographic.column, demographic.year_column]
        for condition in self.conditions:
            columns += condition.when
        for outcome in self.outcomes:
            columns += [outcome.column, *outcome.column_by_condition.values(), *outcome.when]
        columns += [keep.column for keep in self.keep]
        return list(dict.fromkeys(column for column in columns if column))


class TextLoader(yaml.SafeLoader):
    """YAML whose scalars are text: a cell `007`, `yes` or `2020-01-01` stays as it is written."""


TextLoader.yaml_implicit_resolvers = {
    first: [pair for pair in resolvers if pair[0].endswith(":null")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def mapping_from_dict(stored: object, where: str) -> Mapping:
    """A mapping from parsed YAML. Raises UserError that names the field and `where` it is."""
    if not isinstance(stored, dict):
        raise UserError(f"{where} holds no mapping. It needs study, conditions and outcomes.")
    return validated(Mapping, stored, f"{where} is not a mapping that can be read")


def parse_mapping(text: str, where: str) -> Mapping:
    """The mapping in YAML text. Raises UserError if it cannot be read."""
    return mapping_from_dict(parse_yaml(text, where, TextLoader), where)


def load_mapping(path: Path) -> Mapping:
    """The mapping in a YAML file. Raises UserError if it cannot be read."""
    return mapping_from_dict(load_yaml(path, TextLoader), repr(str(path)))


def render_mapping(mapping: Mapping) -> str:
    """The mapping as YAML that `load_mapping` reads back; empty fields are left out."""
    stored = mapping.model_dump(mode="json", exclude_defaults=True)
    for written, outcome in zip(stored.get("outcomes", []), mapping.outcomes, strict=True):
        # A scale is written whole; `exclude_defaults` has left parts of it out.
        written["scale"] = outcome.scale.model_dump(mode="json")
        for name, scale in outcome.scale_by_condition.items():
            written["scale_by_condition"][name] = scale.model_dump(mode="json")
    return yaml.safe_dump(stored, allow_unicode=True, sort_keys=False, width=100)


def save_mapping(mapping: Mapping, path: Path) -> None:
    write_text(path, render_mapping(mapping))
