"""How well the model predicts people it is not trained on, by exact distributions and the usual measures."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from socrates_core.analysis.metrics import accuracy
from socrates_core.evaluations.cells import cells_of
from socrates_core.evaluations.effects import effects_table
from socrates_core.evaluations.predictors import guesses, model_predictor
from socrates_core.evaluations.rows import questions_of_rows
from socrates_core.evaluations.run import answered_table
from socrates_core.evaluations.scores import score_cells
from socrates_core.finetuning.history import Validation
from socrates_core.finetuning.rows import TrainingRows
from socrates_core.models.chat import Chat
from socrates_core.models.local.forest_reader import ForestReader
from socrates_core.models.local.reasoned import answer_behind, draw_rationales, mixture
from socrates_core.models.reasoning import ReasonedChat
from socrates_core.models.tree_answers import tree_answer
from socrates_core.records import Answer, Question
from socrates_core.scoring.plan import Item
from training.model import Trainee, autocast

LEAST_EFFECTS = 3  # condition differences below which their correlation is not reported
AT_ONCE = 8  # prompts whose rationales are drawn together


@dataclass(frozen=True, eq=False)
class Examination:
    """The rows that are asked in every validation, with their questions."""

    chosen: TrainingRows
    rows: pd.DataFrame
    questions: list[Question]


def prepare(chosen: TrainingRows, template: str) -> Examination | None:
    """The validation rows whose answers come from a list of options, with their questions; None without any."""
    rows: list[pd.DataFrame] = []
    questions: list[Question] = []
    for study, study_rows in chosen.validation.groupby("study_id", sort=True):
        study_questions = list(questions_of_rows(chosen.corpus, str(study), study_rows, template))
        rows.append(study_rows[[bool(question.options) for question in study_questions]])
        questions += [question for question in study_questions if question.options]
    return Examination(chosen, pd.concat(rows, ignore_index=True), questions) if questions else None


def validate(
    trainee: Trainee, chat: Chat, examination: Examination, *, step: int, begun: float
) -> Validation:
    """The measures after `step` steps; `begun` is when this process started to train."""
    answers = _ask(trainee, chat, examination.questions)
    corpus = examination.chosen.corpus
    seed = trainee.spec.seed
    table = answered_table(corpus, examination.rows, answers, seed).to_pandas()
    # Everybody who was kept back, not only those who are asked, is what predicted shares are compared with.
    cells = cells_of(corpus, table, examination.chosen.kept_back)
    model = _over_studies(score_cells(cells, model_predictor("", cells)))
    uniform = _over_studies(score_cells(cells, guesses(cells, seed=seed)[0]))
    accuracies = pd.DataFrame(
        {
            "study_id": cell.study_id,
            "accuracy": accuracy(cell.human, cell.drawn, clipped=False, everybody=cell.everybody).value,
        }
        for cell in cells
    )
    effects = effects_table(corpus, table).dropna(subset=["human", "predicted"])
    # A correlation with a constant is not defined.
    enough = len(effects) >= LEAST_EFFECTS and effects["predicted"].std() > 0
    return Validation(
        step=step,
        w_stated=float(model["wasserstein_exact_stated"]),
        w_observed=float(model["wasserstein_exact_observed"]),
        w_uniform=float(uniform["wasserstein_exact_stated"]),
        accuracy=100 * float(_over_studies(accuracies)["accuracy"]),
        log_score=float(model["log_score"]),
        effect_r=float(np.corrcoef(effects["human"], effects["predicted"])[0, 1]) if enough else math.nan,
        valid_mass=float(table["valid_mass"].mean()),
        n_rows=len(table),
        n_cells=len(cells),
        n_studies=examination.rows["study_id"].nunique(),
        seconds=round(time.monotonic() - begun, 3),
    )


def _over_studies(scores: pd.DataFrame) -> pd.Series:
    """The means of scores by cell: over the cells of each study, then over studies."""
    return scores.groupby("study_id").mean(numeric_only=True).mean()


def _ask(trainee: Trainee, chat: Chat, questions: list[Question]) -> list[Answer]:
    ask = _reason if trainee.spec.method == "reasoning" else _read
    trainee.network.model.eval()
    with autocast(trainee):
        answers = ask(trainee, chat, questions)
    trainee.network.model.train()
    return answers


def _reason(trainee: Trainee, chat: Chat, questions: list[Question]) -> list[Answer]:
    """The answer to each question, combined over drawn rationales."""
    reasoned_chat = ReasonedChat(trainee.folder.chat, trainee.folder.base)

    def ask(reasoned: Sequence[Question]) -> Iterator[dict[int, Answer]]:
        yield dict(enumerate(_read(trainee, reasoned_chat, reasoned)))

    combined = []
    for start in range(0, len(questions), AT_ONCE):
        batch = questions[start : start + AT_ONCE]
        prompts = list(chat.encode([question.prompt for question in batch]))
        rationales = draw_rationales(trainee.network, chat, batch, prompts, "exact")
        answers_of = answer_behind(ask, batch, rationales)
        combined += [
            mixture(answers, len(prompt)) for answers, prompt in zip(answers_of, prompts, strict=True)
        ]
    return combined


def _read(trainee: Trainee, chat: Chat, questions: Sequence[Question]) -> list[Answer]:
    prompts = chat.encode([question.prompt for question in questions])
    items = [
        Item(prompt, chat.tree(question.options), (place,))
        for place, (prompt, question) in enumerate(zip(prompts, questions, strict=True))
    ]
    reader = ForestReader(lambda: trainee.network, chat.vocabulary, budget=trainee.spec.micro_tokens)
    answers = {
        place: tree_answer(items[place], readings, chat.vocabulary)
        for batch in reader.read(items)
        for place, readings in batch.items()
    }
    return [answers[place] for place in range(len(questions))]
