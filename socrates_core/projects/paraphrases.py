"""Other words for what a draft says, written by a person and kept with the experiment that tries them."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from socrates_core.errors import UserError, unknown
from socrates_core.surveys.draft import Draft
from socrates_core.yaml_files import load_yaml, validated

AS_WRITTEN = "as written"


class Paraphrase(BaseModel):
    """Other words for some conditions and questions of a draft, by their names in the draft."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    conditions: dict[str, str] = Field(default_factory=dict)
    outcomes: dict[str, str] = Field(default_factory=dict)


def load_paraphrases(path: Path) -> list[Paraphrase]:
    """The paraphrases in a YAML file: a list of name, conditions and outcomes. Raises UserError."""
    stored = load_yaml(path)
    if not isinstance(stored, list):
        raise UserError(
            f"{str(path)!r} holds no list of paraphrases. Write a list of entries with a name and new texts."
        )
    fault = f"A paraphrase in {str(path)!r} cannot be read"
    return [validated(Paraphrase, paraphrase, fault) for paraphrase in stored]


def paraphrased(draft: Draft, paraphrase: Paraphrase) -> Draft:
    """The draft in other words. Raises UserError if the paraphrase names something else, or changes nothing."""
    for part, given in (("conditions", paraphrase.conditions), ("outcomes", paraphrase.outcomes)):
        known = [named.name for named in getattr(draft, part)]
        for name, text in given.items():
            if name not in known:
                raise unknown(f"{part.rstrip('s')} of the draft named", name, known)
            if not text.strip():
                raise UserError(f"The wording {paraphrase.name!r} leaves {name!r} empty. Write its text.")
    conditions = tuple(
        condition.model_copy(update={"text": paraphrase.conditions.get(condition.name, condition.text)})
        for condition in draft.conditions
    )
    outcomes = tuple(
        outcome.model_copy(update={"question": paraphrase.outcomes.get(outcome.name, outcome.question)})
        for outcome in draft.outcomes
    )
    worded = draft.model_copy(update={"conditions": conditions, "outcomes": outcomes})
    if worded == draft:
        raise UserError(f"The wording {paraphrase.name!r} is the draft's own. Change a text or leave it out.")
    return worded
