"""Corpora without texts whose splits are looked at."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.corpus import Corpus, open_corpus, write_corpus
from socrates_core.corpus.splits import Split, split_rows
from socrates_core.corpus.splits_make import OFFICIAL
from socrates_core.corpus.tables import scale_text
from socrates_core.records import DEMOGRAPHICS, Scale

TAIL = "Only return an integer from 1 to 5, nothing else."
Shape = list[
    tuple[int, int, int, bool]
]  # by study: conditions, outcomes, people, everybody in every condition
USUAL: Shape = [(3, 2, 8, False), (2, 3, 7, False), (4, 1, 9, True), (2, 2, 5, False)]


def made_up(shape: Shape, texts: list[str] | None = None) -> Corpus:
    """A corpus of studies of that shape; `texts` are dealt out to the stimuli in turn, each its own where None."""
    frames: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("studies", "stimuli", "participants", "responses")
    }
    for index, (n_conditions, n_outcomes, n_people, within) in enumerate(shape):
        study = {"study_id": f"s{index}"}
        frames["studies"].append(
            {
                **study,
                "title": "t",
                "topic": "a",
                "source": "",
                "url": "",
                "licence": "",
                "wording": "rebuilt",
                "design": "within" if within else "between",
                "reference_condition": None,
                "notes": [],
            }
        )
        for number in range(n_conditions * n_outcomes):
            condition, outcome = divmod(number, n_outcomes)
            dealt = texts[len(frames["stimuli"]) % len(texts)] if texts else f"{index} {condition} {outcome}"
            frames["stimuli"].append(
                {
                    **study,
                    "stimulus_id": number,
                    "condition_num": condition,
                    "task_num": outcome,
                    "stimulus": f"{dealt} {TAIL}",
                    "condition_name": "c",
                    "outcome_name": "o",
                    "condition_text": "",
                    "question": dealt,
                    "scale": scale_text(Scale("range", 1, 5)),
                }
            )
        for person in range(n_people):
            frames["participants"].append({**study, "participant": person, **dict.fromkeys(DEMOGRAPHICS)})
            for condition in range(n_conditions) if within else [person % n_conditions]:
                for outcome in range(n_outcomes):
                    stimulus = condition * n_outcomes + outcome
                    frames["responses"].append(
                        {
                            **study,
                            "sample_id": len(frames["responses"]),
                            "participant": person,
                            "stimulus_id": stimulus,
                            "response": 1.0 + person % 5,
                        }
                    )
    written = write_corpus(
        "made",
        title="Made up",
        source="made up",
        studies=pd.DataFrame(frames["studies"]),
        stimuli=pd.DataFrame(frames["stimuli"]),
        responses=pd.DataFrame(frames["responses"]),
        participants=pd.DataFrame(frames["participants"]).astype(object),
    )
    return open_corpus(written.name)


def sides(corpus: Corpus, split: Split) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of both sides with the text and the cell of their stimulus."""
    texts = corpus.ask(
        "SELECT study_id, stimulus_id, condition_num, task_num, stimulus FROM read_parquet($stimuli)"
    )
    train, held = (split_rows(corpus, split, side).merge(texts) for side in ("train", "eval"))
    return train, held


def official(tmp_path: Path, kind: str, content: object) -> Path:
    (tmp_path / "metadata").mkdir(exist_ok=True)
    (tmp_path / "metadata" / OFFICIAL[kind]).write_text(json.dumps(content))
    return tmp_path
