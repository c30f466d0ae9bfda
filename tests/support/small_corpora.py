"""Corpora of a few answers, written for one test."""

from typing import Any

import pandas as pd

from socrates_core.corpus import write_corpus
from socrates_core.corpus.tables import scale_text
from socrates_core.records import DEMOGRAPHICS, Design, Scale

SEVEN, HUNDRED = Scale("range", 1, 7), Scale("range", 0, 100)


def small_corpus(
    name: str,
    rows: list[dict[str, Any]],
    *,
    assigned_by: Design | None = None,
    assigned: pd.DataFrame | None = None,
    **study: Any,
) -> None:
    """A corpus of one study; a row an answer: participant, condition, task, text, question, scale, response.

    `assigned` has columns participant, cluster, block, weight for the design `assigned_by`.
    """
    told = pd.DataFrame(rows)
    keys = ["condition", "task", "text", "question", "scale"]
    texts = (
        told[keys]
        .assign(scale=[scale_text(scale) for scale in told["scale"]])
        .drop_duplicates(ignore_index=True)
    )
    number = {key: at for at, key in enumerate(texts.itertuples(index=False, name=None))}
    described = {
        "study_id": "one",
        "title": "One study",
        "topic": "testing",
        "source": "us",
        "url": "",
        "licence": "own",
        "wording": "instrument",
        "design": "between",
        "reference_condition": 0,
        "notes": [],
        **study,
    }
    people = [
        {"study_id": "one", "participant": each, **dict.fromkeys(DEMOGRAPHICS)}
        for each in told["participant"].unique()
    ]
    for at, person in enumerate(people):
        person |= {"gender": "Female" if at % 4 else "Male", "age": 20 + at}
    write_corpus(
        name,
        assignment=None if assigned is None else assigned.assign(study_id="one"),
        designs=None if assigned_by is None else {"one": assigned_by},
        title=name,
        source="made up",
        studies=pd.DataFrame([described]),
        participants=pd.DataFrame(people),
        stimuli=pd.DataFrame(
            [
                {
                    "study_id": "one",
                    "stimulus_id": at,
                    "condition_num": c,
                    "task_num": t,
                    "stimulus": f"{text} {question}",
                    "condition_name": f"Arm {c}",
                    "outcome_name": f"Outcome {t}",
                    "condition_text": text,
                    "question": question,
                    "scale": scale,
                }
                for (c, t, text, question, scale), at in number.items()
            ]
        ),
        responses=pd.DataFrame(
            [
                {
                    "study_id": "one",
                    "sample_id": at,
                    "participant": row["participant"],
                    "response": float(row["response"]),
                    "stimulus_id": number[
                        tuple(row[key] if key != "scale" else scale_text(row[key]) for key in keys)
                    ],
                }
                for at, row in enumerate(rows)
            ]
        ),
    )


def answer(participant: int, condition: int, response: float, **changed: Any) -> dict[str, Any]:
    row = {"task": 0, "text": f"Text {condition}.", "question": "How worried?", "scale": SEVEN}
    return {**row, "participant": participant, "condition": condition, "response": response, **changed}


def two_arms(n: int = 80) -> list[dict[str, Any]]:
    return [answer(person, person % 2, 1 + person % 7) for person in range(n)]
