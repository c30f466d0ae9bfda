"""How well the model in training predicts people whom it does not train on: exact distributions, the usual measures."""

import math
import time
from dataclasses import dataclass

import numpy as np
import pandas as pd

from socrates_core.evaluations.cells import cells_of
from socrates_core.evaluations.effects import effects_table
from socrates_core.evaluations.predictors import model_predictor
from socrates_core.evaluations.rows import questions_of_rows
from socrates_core.evaluations.run import answered_table
from socrates_core.evaluations.scores import summarise
from socrates_core.evaluations.whole_cells import cell_accuracies, cell_distances
from socrates_core.finetuning.history import Validation
from socrates_core.finetuning.rows import Chosen
from socrates_core.models.chat import Chat
from socrates_core.models.local.engine import Engine
from socrates_core.models.local.reasoned import answer_behind, draw_rationales, mixture
from socrates_core.models.reasoning import ReasonedChat
from socrates_core.records import Answer, Question
from socrates_core.scoring.plan import Item, plan_batches
from training.model import Trainee, autocast

LEAST_EFFECTS = 3
AT_ONCE = 8  # prompts whose rationales are drawn together


@dataclass(frozen=True, eq=False)
class Examination:
    """The rows that are asked again and again, with their questions."""

    chosen: Chosen
    rows: pd.DataFrame
    questions: list[Question]


def prepare(chosen: Chosen, template: str) -> Examination | None:
    """The validation rows with listed answers and their questions; None without any."""
    rows, questions = [], []
    for study, own in chosen.validation.groupby("study_id", sort=True):
        asked = list(questions_of_rows(chosen.corpus, str(study), own, template))
        listed = [bool(each.options) for each in asked]
        rows.append(own[listed])
        questions += [each for each in asked if each.options]
    return Examination(chosen, pd.concat(rows, ignore_index=True), questions) if questions else None


def validate(
    trainee: Trainee, chat: Chat, examination: Examination, *, step: int, begun: float
) -> Validation:
    """The measures after `step` steps; `begun` is when this process started to train."""
    answers = _ask(trainee, chat, examination.questions)
    corpus, seed = examination.chosen.corpus, trainee.spec.seed
    table = answered_table(corpus, examination.rows, answers, seed).to_pandas()
    cells = cells_of(corpus, table)
    value = {
        name: each.value
        for name, each in summarise(cells, model_predictor("", cells), seed=seed).measures.items()
    }
    effects = effects_table(corpus, table).dropna(subset=["human", "predicted"])
    enough = len(effects) >= LEAST_EFFECTS and effects["predicted"].std() > 0
    flat = [np.full(len(each.options), 1 / len(each.options)) for each in examination.questions]
    said = [each.probabilities if each.valid_mass > 0 else None for each in answers]
    model, uniform = (
        cell_distances(corpus, examination.rows, each, examination.chosen.kept_back)
        .groupby("study_id")[["w_stated", "w_observed"]]
        .mean()
        .mean()
        for each in (said, flat)
    )
    accuracies = cell_accuracies(table, examination.chosen.kept_back)
    accurate = accuracies.groupby("study_id")["accuracy"].mean().mean()
    return Validation(
        step=step,
        w_stated=float(model["w_stated"]),
        w_observed=float(model["w_observed"]),
        w_uniform=float(uniform["w_stated"]),
        accuracy=100 * float(accurate),
        log_score=value["log_score"],
        effect_r=float(np.corrcoef(effects["human"], effects["predicted"])[0, 1]) if enough else math.nan,
        valid_mass=float(table["valid_mass"].mean()),
        n_rows=len(table),
        n_cells=len(cells),
        n_studies=examination.rows["study_id"].nunique(),
        seconds=round(time.monotonic() - begun, 3),
    )


def _ask(trainee: Trainee, chat: Chat, questions: list[Question]) -> list[Answer]:
    trainee.network.model.eval()
    with autocast(trainee):
        told = (
            _reason(trainee, chat, questions)
            if trainee.spec.method == "reasoning"
            else _read(trainee, chat, questions)
        )
    trainee.network.model.train()
    return told


def _reason(trainee: Trainee, chat: Chat, questions: list[Question]) -> list[Answer]:
    """The answers behind drawn rationales, put together for each question."""
    behind = ReasonedChat(trainee.folder.chat, trainee.folder.base)
    found = []
    for start in range(0, len(questions), AT_ONCE):
        asked = questions[start : start + AT_ONCE]
        prompts = list(chat.encode([each.prompt for each in asked]))
        drawn = draw_rationales(trainee.network, chat, asked, prompts, "exact")
        answers = answer_behind(
            lambda each: iter([dict(enumerate(_read(trainee, behind, list(each))))]), asked, drawn
        )
        found += [mixture(own, len(prompt)) for own, prompt in zip(answers, prompts, strict=True)]
    return found


def _read(trainee: Trainee, chat: Chat, questions: list[Question]) -> list[Answer]:
    network = trainee.network
    prompts = chat.encode([each.prompt for each in questions])
    items = [
        Item(prompt, chat.tree(each.options), (place,))
        for place, (prompt, each) in enumerate(zip(prompts, questions, strict=True))
    ]
    engine = Engine(network, chat.vocabulary, "exact", shared=True)
    answers: dict[int, Answer] = {}
    for batch in plan_batches(items, token_budget=trainee.spec.micro_tokens, shared=network.packed):
        for item, each in zip(batch, engine.distributions(batch), strict=True):
            answers[item.positions[0]] = Answer(each.probabilities, each.valid_mass, len(item.prompt))
    return [answers[place] for place in range(len(questions))]
