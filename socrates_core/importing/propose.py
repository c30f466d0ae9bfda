"""Texts that a data file does not hold, proposed by a model on this machine. None counts until a person accepts it."""

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

Told = Callable[[int, int], None]


@dataclass(frozen=True)
class Gap:
    """A text that is missing: the question of an outcome, or what a condition read."""

    part: str
    name: str
    prompt: Prompt


def local_models() -> dict[str, str]:
    """The models on this machine that could write, by name, with a title to choose from."""
    return {card.name: card.title for card in list_models() if card.installed and card.kind == "local"}


def find_gaps(mapping: StudyMapping, labels: Mapping[str, str]) -> list[Gap]:
    """What a model would be asked to write, and all that it would be told: names, `labels` of columns, answer scales.

    A single condition needs no text. Nothing of what people answered is told.
    """
    title, names = mapping.study.title, [condition.name for condition in mapping.conditions]
    gaps = [
        Gap(
            "outcomes",
            each.name,
            _asked(
                f"Experiment: {title}\nColumn: {each.column or each.name}\n"
                f"{_labelled(labels.get(each.column, ''))}{render_instruction(each.scale.scale())}\n\n"
                "Write the survey question that this column answers: one sentence that ends with a question mark."
            ),
        )
        for each in mapping.outcomes
        if not each.question.strip() and not each.text_by_condition
    ]
    return gaps + [
        Gap(
            "conditions",
            each.name,
            _asked(
                f"Experiment: {title}\nGroups: {', '.join(names)}\n\n"
                f'Write the text that people of the group "{each.name}" read, in one or two sentences.'
            ),
        )
        for each in mapping.conditions
        if len(names) > 1 and not each.text.strip()
    ]


def write_proposals(model: str, gaps: Sequence[Gap], told: Told) -> dict[str, Any]:
    """What the model writes: {"model", "outcomes": {name: question}, "conditions": {name: text}}.

    The same for the same model and gaps. `told` hears how many are written, of how many, and may raise to stop.
    Raises UserError where there is no such model on this machine.
    """
    found: dict[str, Any] = {"model": model, "outcomes": {}, "conditions": {}}
    write = open_writer(model)
    for done, gap in enumerate(gaps):
        told(done, len(gaps))
        text = _tidied(write(gap.prompt), gap.part)
        if text:
            found[gap.part][gap.name] = text
    told(len(gaps), len(gaps))
    return found


def with_proposals(mapping: StudyMapping, found: Mapping[str, Any]) -> StudyMapping:
    """The mapping with proposals, marked, where its texts are still empty; its notes say whose words they are."""
    outcomes, conditions = found["outcomes"], found["conditions"]
    filled = {
        "outcomes": tuple(
            each.model_copy(update={"question": outcomes[each.name], "proposed": True})
            if each.name in outcomes and not each.question.strip()
            else each
            for each in mapping.outcomes
        ),
        "conditions": tuple(
            each.model_copy(update={"text": conditions[each.name], "proposed": True})
            if each.name in conditions and not each.text.strip()
            else each
            for each in mapping.conditions
        ),
    }
    note = f"Some texts began as proposals of the model {found['model']} that a person accepted or rewrote."
    study = mapping.study
    if (outcomes or conditions) and note not in study.notes:
        study = study.model_copy(update={"wording": "rebuilt", "notes": (*study.notes, note)})
    return mapping.model_copy(update={**filled, "study": study})


def settled(mapping: StudyMapping, before: StudyMapping) -> StudyMapping:
    """The mapping, where a text that no longer is a proposal of `before` counts as a person's own."""
    proposals = {each.text for each in before.conditions if each.proposed}
    proposals |= {each.question for each in before.outcomes if each.proposed}
    return mapping.model_copy(
        update={
            "conditions": tuple(
                each.model_copy(update={"proposed": each.proposed and each.text in proposals})
                for each in mapping.conditions
            ),
            "outcomes": tuple(
                each.model_copy(update={"proposed": each.proposed and each.question in proposals})
                for each in mapping.outcomes
            ),
        }
    )


def open_writer(model: str) -> Callable[[Prompt], str]:
    """What the local model goes on to say after a prompt: one seeded draw. Raises UserError where there is none."""
    if model not in local_models():
        raise unknown("model on this machine", model, local_models())
    from socrates_core.models.chat import Chat
    from socrates_core.models.local.network import open_network
    from socrates_core.models.local.sampler import sample_texts
    from socrates_core.models.model_folder import ModelFolder, open_folder, revision

    folder = open_folder(model)
    chat, base = Chat(folder.chat, folder.base), revision(ModelFolder(folder.base))
    adapter = (folder.adapter, revision(folder)) if folder.adapter else None

    def write(prompt: Prompt) -> str:
        network = open_network(folder.base, base, "auto")
        network.use(adapter)
        rng = np.random.default_rng(int(digest([prompt.system, prompt.user])[:16], 16))
        tokens = list(chat.encode([prompt]))
        return sample_texts(network, chat, tokens, "paper", [rng.random((1, N_TOKENS))])[0][0]

    return write


def _asked(text: str) -> Prompt:
    return Prompt(SYSTEM, text)


def _labelled(label: str) -> str:
    return f"Label: {label}\n" if label else ""


def _tidied(text: str, part: str) -> str:
    """The first paragraph of what a model wrote, of a question up to its mark; empty where there is nothing of use."""
    line = next(filter(None, (each.strip("\"'“”‘’*# ") for each in plain_text(text).split("\n"))), "")
    line = re.sub(r"^(question|answer|text)\s*:\s*", "", line, flags=re.IGNORECASE)
    if part == "outcomes":
        line = line[: line.find("?") + 1]
    whole = re.match(r".*[.!?]", line[:LONGEST])  # what the last token broke off is left out
    return (whole[0] if whole else line[:LONGEST]).strip()
