"""A corpus's tables as frames that a test may change."""

from typing import Any

import pandas as pd

from socrates_core.corpus.tables import scale_text
from socrates_core.records import DEMOGRAPHICS, Scale

SEVEN = Scale("range", 1, 7, labels=((1, "not at all"), (7, "very much")))


def tables() -> dict[str, Any]:
    """Three people in two conditions; one of them answers nine on a scale to seven."""
    study = {
        "study_id": "news",
        "title": "News",
        "topic": "media",
        "source": "Us (2024)",
        "url": "",
        "licence": "own",
        "wording": "instrument",
        "design": "between",
        "reference_condition": 0,
        "notes": ["Three people only."],
    }
    stimulus = {
        "study_id": "news",
        "task_num": 0,
        "outcome_name": "worry",
        "question": "How worried?",
        "scale": scale_text(SEVEN),
    }
    people: list[dict[str, Any]] = [
        {"age": 20, "gender": "Female"},
        {"age": 30, "gender": "Male"},
        {"gender": "Male"},
    ]
    return {
        "title": "A test",
        "source": "made up",
        "studies": pd.DataFrame([study]),
        "stimuli": pd.DataFrame(
            [
                {
                    **stimulus,
                    "stimulus_id": n,
                    "condition_num": n,
                    "stimulus": f"s{n}",
                    "condition_name": f"c{n}",
                    "condition_text": f"text {n}",
                }
                for n in (0, 1)
            ]
        ),
        "participants": pd.DataFrame(
            [
                {"study_id": "news", "participant": n, **dict.fromkeys(DEMOGRAPHICS), **person}
                for n, person in enumerate(people)
            ]
        ),
        "responses": pd.DataFrame(
            {
                "study_id": "news",
                "sample_id": [0, 1, 2],
                "participant": [0, 1, 2],
                "stimulus_id": [0, 1, 1],
                "response": [2.5, 7.0, 9.0],
            }
        ),
    }


def change(table: str, **columns: Any) -> dict[str, Any]:
    given = tables()
    return {**given, table: given[table].assign(**columns)}
