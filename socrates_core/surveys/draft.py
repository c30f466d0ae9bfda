"""A draft: conditions, outcomes and a panel, as a file a person can write and a record that code can trust.

The records accept an unfinished draft, so that half an idea can be kept; `surveys.check` says what is missing.
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from socrates_core.errors import UserError, quoted
from socrates_core.files import digest
from socrates_core.populations.panel import PanelSpec
from socrates_core.prompts import render_stimulus
from socrates_core.records import Design, Number, Scale, ScaleKind, factors_of
from socrates_core.scales import parse_scale, render_instruction
from socrates_core.yaml_files import load_yaml, validated


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


class ScaleSpec(_Spec):
    """A scale as a mapping. A file may give its instruction as text instead.

    `ordered` false means that the options have no order and so no mean; None leaves that to their labels.
    """

    kind: ScaleKind = "range"
    low: Number | None = 1
    high: Number | None = 7
    step: Number = 1
    labels: dict[Number, str] = Field(default_factory=dict)
    ordered: bool | None = None

    @model_serializer(mode="wrap")
    def _without_unsaid_order(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """`ordered` is written only where it was said, so that digests of stored drafts stay what they are."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name != "ordered" or value is not None}

    @model_validator(mode="before")
    @classmethod
    def _open_without_ends(cls, given: Any) -> Any:
        """An open scale has neither end. One that is named stays, and the check reports it."""
        opened = isinstance(given, dict) and given.get("kind") == "open_integer"
        return {"low": None, "high": None, **given} if opened else given

    def scale(self) -> Scale:
        """The scale. Listed answers run from their lowest to their highest value, whatever `low` and `high` say."""
        low, high = self.low, self.high
        if self.kind == "enum_labels" and self.labels:
            low, high = min(self.labels), max(self.labels)
        return Scale(self.kind, low, high, self.step, tuple(sorted(self.labels.items())), self.ordered)

    @staticmethod
    def of(scale: Scale) -> "ScaleSpec":
        return ScaleSpec(
            kind=scale.kind,
            low=scale.low,
            high=scale.high,
            step=scale.step,
            labels=dict(scale.labels),
            ordered=scale.ordered,
        )


def _scale_from_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    scale = parse_scale(value)
    if scale is None:
        raise ValueError(
            f"{quoted(value)} is not a response instruction; write for example "
            "'Only return an integer from 1 to 7, nothing else.'"
        )
    return ScaleSpec.of(scale)


ScaleField = Annotated[ScaleSpec, BeforeValidator(_scale_from_text)]


class ConditionSpec(_Spec):
    """What one group reads; `source` is the condition of the draft's study that it came from.

    `levels` says which level of each factor the condition has, such as {tone: warm}, where conditions are crossed.
    """

    name: str = ""
    text: str = ""
    source: int | None = None
    levels: dict[str, str] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_no_levels(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """`levels` are written only where there are some, so that digests of stored drafts stay what they are."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name != "levels" or value}


class OutcomeSpec(_Spec):
    """What everyone is asked; `source` is the outcome of the draft's study that it came from."""

    name: str = ""
    question: str = ""
    scale: ScaleField = ScaleSpec()
    source: int | None = None


class StudyRef(_Spec):
    """The study a draft was made from."""

    corpus: str
    study_id: str


class Draft(_Spec):
    """A planned experiment. `reference` names the condition that effects are measured against.

    `assignment` is how people will be assigned: each to one condition (between) or to all of them (within).
    """

    title: str = "Untitled draft"
    study: StudyRef | None = None
    conditions: tuple[ConditionSpec, ...] = ()
    outcomes: tuple[OutcomeSpec, ...] = ()
    reference: str = ""
    assignment: Literal["between", "within"] = "between"
    panel: PanelSpec = PanelSpec()

    @model_serializer(mode="wrap")
    def _without_usual_assignment(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """`assignment` is written only where it is not the usual one, so that digests of stored drafts stay."""
        written: dict[str, Any] = write(self)
        return {name: value for name, value in written.items() if name != "assignment" or value != "between"}

    def stimulus(self, condition: ConditionSpec, outcome: OutcomeSpec) -> str:
        """The text that a person of `condition` is shown for `outcome`, word for word."""
        return render_stimulus(
            condition.text.strip(), outcome.question.strip(), render_instruction(outcome.scale.scale())
        )

    @property
    def design(self) -> Design:
        """How people will be assigned, and the factors that cross the conditions, if any do."""
        levels = [condition.levels for condition in self.conditions]
        return Design(assignment=self.assignment, factors=factors_of(levels))

    @property
    def reference_index(self) -> int:
        """The position of the reference condition; the first where none is named."""
        names = [condition.name for condition in self.conditions]
        return names.index(self.reference) if self.reference in names else 0

    def as_dict(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    def digest(self) -> str:
        return digest(self.as_dict())


def draft_from_dict(stored: object, where: str) -> Draft:
    """A draft from parsed YAML or JSON. Raises UserError with the field and `where` it is."""
    try:
        json.dumps(stored, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"{where} holds half a character (a lone surrogate), which no file can keep. Remove it."
        ) from error
    except (TypeError, ValueError, RecursionError) as error:  # ValueError: a list that holds itself
        raise UserError(f"{where} holds no draft: it cannot be written as JSON ({error}).") from error
    if not isinstance(stored, dict):
        raise UserError(f"{where} holds no draft: a mapping with title, conditions and outcomes is needed.")
    return validated(Draft, stored, f"{where} is not a draft that can be read")


def load_draft(path: Path) -> Draft:
    """The draft in a YAML or JSON file. Raises UserError where it cannot be read."""
    return draft_from_dict(load_yaml(path), repr(str(path)))


def render_draft(draft: Draft) -> str:
    """The draft as YAML that `load_draft` reads back."""
    return yaml.safe_dump(draft.as_dict(), allow_unicode=True, sort_keys=False, width=100)
