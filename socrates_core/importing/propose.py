"""Texts that a data file lacks, proposed by a model on this machine. None counts until a person accepts it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from socrates_core.errors import unknown
from socrates_core.files import digest
from socrates_core.importing.mapping import Mapping as StudyMapping
from socrates_core.importing.qualtrics.text import plain_text
from socrates_core.models.catalog import list_models
from socrates_core.records import Prompt
from socrates_core.scales import render_instruction

SYSTEM = "You help to document a survey. You write survey wording in plain English and nothing else."
N_TOKENS = 80  # of a proposal
LONGEST = 400  # characters

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Gap:
    """A missing text: the question of an outcome, or what a condition read."""

    part: str
    name: str
    prompt: Prompt


def local_models() -> dict[str, str]:
    """The models on this machine that can write texts: name -> title."""
    return {card.name: card.title for card in list_models() if card.installed and card.kind == "local"}


def find_gaps(mapping: StudyMapping, labels: Mapping[str, str]) -> list[Gap]:
    """The prompts for the missing texts: they hold names, `labels` of columns and answer scales, but no answers.

    A single condition needs no text.
    """
    title = mapping.study.title
    names = [condition.name for condition in mapping.conditions]
    gaps = [
        Gap(
            "outcomes",
            outcome.name,
            _prompt(
                f"Experiment: {title}\nColumn: {outcome.column or outcome.name}\n"
                f"{_labelled(labels.get(outcome.column, ''))}{render_instruction(outcome.scale.scale())}\n\n"
                "Write the survey question that this column answers: one sentence that ends with a question mark."
            ),
        )
        for outcome in mapping.outcomes
        if not outcome.question.strip() and not outcome.text_by_condition
    ]
    return gaps + [
        Gap(
            "conditions",
            condition.name,
            _prompt(
                f"Experiment: {title}\nGroups: {', '.join(names)}\n\n"
                f'Write the text that people of the group "{condition.name}" read, in one or two sentences.'
            ),
        )
        for condition in mapping.conditions
        if len(names) > 1 and not condition.text.strip()
    ]


def write_proposals(model: str, gaps: Sequence[Gap], report: Report) -> dict[str, Any]:
    """What the model writes: {"model", "outcomes": {name: question}, "conditions": {name: text}}.

    The same for the same model and gaps. `report` gets how many are written, of how many, and may raise to stop.
    Raises UserError if this machine has no such model.
    """
    proposals: dict[str, Any] = {"model": model, "outcomes": {}, "conditions": {}}
    write = open_writer(model)
    for done, gap in enumerate(gaps):
        report(done, len(gaps))
        text = _tidied(write(gap.prompt), gap.part)
        if text:
            proposals[gap.part][gap.name] = text
    report(len(gaps), len(gaps))
    return proposals


def with_proposals(mapping: StudyMapping, proposals: Mapping[str, Any]) -> StudyMapping:
    """The mapping with proposals, marked as such, in place of empty texts; a note names the model."""
    outcomes, conditions = proposals["outcomes"], proposals["conditions"]
    filled = {
        "outcomes": tuple(
            outcome.model_copy(update={"question": outcomes[outcome.name], "proposed": True})
            if outcome.name in outcomes and not outcome.question.strip()
            else outcome
            for outcome in mapping.outcomes
        ),
        "conditions": tuple(
            condition.model_copy(update={"text": conditions[condition.name], "proposed": True})
            if condition.name in conditions and not condition.text.strip()
            else condition
            for condition in mapping.conditions
        ),
    }
    note = (
        f"Some texts began as proposals of the model {proposals['model']} that a person accepted or rewrote."
    )
    study = mapping.study
    if (outcomes or conditions) and note not in study.notes:
        study = study.model_copy(update={"wording": "rebuilt", "notes": (*study.notes, note)})
    return mapping.model_copy(update={**filled, "study": study})


def settled(mapping: StudyMapping, before: StudyMapping) -> StudyMapping:
    """The mapping, in which a text that differs from the proposals in `before` no longer counts as proposed."""
    proposals = {condition.text for condition in before.conditions if condition.proposed}
    proposals |= {outcome.question for outcome in before.outcomes if outcome.proposed}
    return mapping.model_copy(
        update={
            "conditions": tuple(
                condition.model_copy(update={"proposed": condition.proposed and condition.text in proposals})
                for condition in mapping.conditions
            ),
            "outcomes": tuple(
                outcome.model_copy(update={"proposed": outcome.proposed and outcome.question in proposals})
                for outcome in mapping.outcomes
            ),
        }
    )


def open_writer(model: str) -> Callable[[Prompt], str]:
    """Writes what the local model continues a prompt with: one seeded draw. Raises UserError for an unknown model."""
    if model not in local_models():
        raise unknown("model on this machine", model, local_models())
    from socrates_core.models.chat import Chat
    from socrates_core.models.local.network import open_network
    from socrates_core.models.local.sampler import sample_texts
    from socrates_core.models.model_folder import ModelFolder, open_folder, revision

    folder = open_folder(model)
    chat = Chat(folder.chat, folder.base)
    base = revision(ModelFolder(folder.base))
    adapter = (folder.adapter, revision(folder)) if folder.adapter else None

    def write(prompt: Prompt) -> str:
        network = open_network(folder.base, base, "auto")
        network.use(adapter)
        # Seeded by the prompt: a proposal is the same whatever was written before it.
        rng = np.random.default_rng(int(digest([prompt.system, prompt.user])[:16], 16))
        tokens = list(chat.encode([prompt]))
        return sample_texts(network, chat, tokens, "paper", [rng.random((1, N_TOKENS))])[0][0]

    return write


def _prompt(text: str) -> Prompt:
    return Prompt(SYSTEM, text)


def _labelled(label: str) -> str:
    return f"Label: {label}\n" if label else ""


def _tidied(text: str, part: str) -> str:
    """The first paragraph that a model wrote, a question up to its question mark; empty if nothing is usable."""
    lines = (line.strip("\"'“”‘’*# ") for line in plain_text(text).split("\n"))
    line = next(filter(None, lines), "")
    line = re.sub(r"^(question|answer|text)\s*:\s*", "", line, flags=re.IGNORECASE)
    if part == "outcomes":
        line = line[: line.find("?") + 1]
    whole = re.match(r".*[.!?]", line[:LONGEST])  # without a sentence that the last token cut off
    return (whole[0] if whole else line[:LONGEST]).strip()
