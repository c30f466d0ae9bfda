"""Drafts that many tests simulate."""

from typing import Any

import pandas as pd

from socrates_core.asking.request import ModelRequest
from socrates_core.corpus import open_corpus, write_corpus
from socrates_core.corpus.store import find_study
from socrates_core.corpus.tables import scale_text
from socrates_core.populations.panel import PanelSpec
from socrates_core.records import DEMOGRAPHICS, Scale
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec
from socrates_core.surveys.start import draft_from_study

ECHO = ModelRequest("echo")
SEVEN = Scale("range", 1, 7)
ENDING = "Only return an integer from 1 to 7, nothing else."


def shown(condition: int, task: int, text: str, question: str) -> dict[str, Any]:
    """A stimulus in a frame that is not ours, whose question may differ from condition to condition."""
    return {
        "condition_num": condition,
        "task_num": task,
        "condition_name": f"c{condition}",
        "outcome_name": f"o{task}",
        "condition_text": text,
        "question": question,
        "scale": scale_text(SEVEN),
        "stimulus": f'Please look at this: {text} Now tell us, "{question}" {ENDING}',
    }


def make_draft(**changes: object) -> Draft:
    draft = Draft(
        title="Try",
        conditions=(
            ConditionSpec(name="Control", text="A plain text."),
            ConditionSpec(name="New", text="Another."),
        ),
        outcomes=(OutcomeSpec(name="Support", question="How much?"),),
        panel=PanelSpec(kind="describe", describe={"gender": {"Female": 0.5, "Male": 0.5}}, n=4),
    )
    return draft.model_copy(update=changes)


def wide_draft(n_conditions: int, n_people: int = 50, title: str = "Wide") -> Draft:
    """A draft whose cells are all different questions: conditions x people of different ages x one outcome."""
    ages = {str(age): 1 / 1000 for age in range(1000)}
    return Draft(
        title=title,
        conditions=tuple(ConditionSpec(name=f"C{n}", text=f"Text {n}.") for n in range(n_conditions)),
        outcomes=(OutcomeSpec(name="Support", question="How much?"),),
        panel=PanelSpec(kind="describe", describe={"age": ages}, n=n_people),
    )


def kakadu(n: int = 6) -> Draft:
    draft = draft_from_study(find_study("kakadu"), "kakadu")
    return draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": n})})


ASKED = [
    shown(0, 0, "Nothing.", "How fair is the fee?"),
    shown(1, 0, "A fee.", "How fair is the shown fee?"),
    shown(0, 1, "Nothing.", "Trust banks?"),
    shown(0, 1, "Nothing.", "Trust courts?"),
    shown(1, 1, "A fee.", "Trust banks?"),
    shown(1, 1, "A fee.", "Trust courts?"),
]


def draft_of(name: str, asked: list[dict[str, Any]]) -> Draft:
    """The draft of a study that asked so, alone in a corpus of that name."""
    study = {
        "study_id": "fees",
        "title": "Fees",
        "topic": "",
        "source": "",
        "url": "",
        "licence": "",
        "wording": "instrument",
        "design": "between",
        "reference_condition": 0,
        "notes": [],
    }
    stimuli = [{"study_id": "fees", "stimulus_id": n, **each} for n, each in enumerate(asked)]
    people = range(8)
    rows = [
        {"participant": person, "stimulus_id": n, "response": 1.0 + (person + n) % 7}
        for person in people
        for n, each in enumerate(asked)
        if each["condition_num"] == person % 2
    ]
    write_corpus(
        name,
        title="Fees",
        source="made up",
        studies=pd.DataFrame([study]),
        stimuli=pd.DataFrame(stimuli),
        participants=pd.DataFrame(
            [
                {"study_id": "fees", "participant": n, **dict.fromkeys(DEMOGRAPHICS), "age": 20 + n}
                for n in people
            ]
        ),
        responses=pd.DataFrame([{"study_id": "fees", "sample_id": n, **row} for n, row in enumerate(rows)]),
    )
    return draft_from_study(open_corpus(name), "fees")
