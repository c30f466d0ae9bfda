"""How well the model predicts people it is not trained on, by exact distributions and the usual measures."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object

from socrates_core.analysis.metrics import accuracy
from socrates_core.corpus.splits import corpus_digest
from socrates_core.errors import UserError
from socrates_core.evaluations.cells import cells_of
from socrates_core.evaluations.effects import effects_table
from socrates_core.evaluations.predictors import guesses, model_predictor
from socrates_core.evaluations.rows import questions_of_rows
from socrates_core.evaluations.run import answered_table
from socrates_core.evaluations.scores import score_cells
from socrates_core.files import digest, read_json, write_json
from socrates_core.finetuning.history import Validation
from socrates_core.finetuning.rows import TrainingRows, rows_to_validate
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.models.chat import Chat
from socrates_core.models.local.forest_reader import ForestReader
from socrates_core.models.local.reasoned import answer_behind, draw_rationales, mixture
from socrates_core.models.model_folder import revision
from socrates_core.models.reasoning import ReasonedChat
from socrates_core.models.tree_answers import tree_answer
from socrates_core.records import SCORING_VERSION, Answer, Question
from socrates_core.scoring.plan import Item, plan_batches
from socrates_core.settings import folder
from training.model import Trainee, autocast

LEAST_EFFECTS = 3  # condition differences below which their correlation is not reported
Batch = TypeVar("Batch")
AT_ONCE = 8  # prompts whose rationales are drawn together


@dataclass(frozen=True, eq=False)
class Examination:
    """The rows that are asked in every validation, with their questions."""

    chosen: TrainingRows
    rows: pd.DataFrame
    questions: list[Question]

    def __getstate__(self) -> dict[str, Any]:
        """For other processes the questions alone: only the main one measures."""
        return vars(self) | {"chosen": None, "rows": None}


def prepare(chosen: TrainingRows, spec: TrainingSpec) -> Examination | None:
    """The validation rows whose answers come from a list of options, with their questions; None without any."""
    rows: list[pd.DataFrame] = []
    questions: list[Question] = []
    for study, study_rows in rows_to_validate(spec, chosen).groupby("study_id", sort=True):
        study_questions = list(questions_of_rows(chosen.corpus, str(study), study_rows, spec.template))
        rows.append(study_rows[[bool(question.options) for question in study_questions]])
        questions += [question for question in study_questions if question.options]
    return Examination(chosen, pd.concat(rows, ignore_index=True), questions) if questions else None


@dataclass(eq=False)
class Examiner:
    """Measures what is trained; every process answers its part of the questions. `begun` is when training began."""

    trainee: Trainee
    chat: Chat
    examination: Examination | None
    begun: float

    def __call__(self, step: int) -> Validation | None:
        """The measures after `step` steps, the same in every process; None without validation rows."""
        if self.examination is None:
            return None
        kept: list[Validation | None] = [None]
        if step == 0 and PartialState().is_main_process:
            kept = [self._kept_base()]
        broadcast_object_list(kept)
        if kept[0] is not None:
            return kept[0]
        network = self.trainee.network
        wrapped = network.model
        network.model = self.trainee.model  # DDP's wrapper takes no part in answers
        answers = _ask(self.trainee, self.chat, self.examination.questions)
        network.model = wrapped
        self.trainee.reshard()
        validation: list[Validation | None] = [None]
        if PartialState().is_main_process:
            measured = measure(self.trainee.spec, self.examination, answers, step, self.begun)
            validation = [measured]
            if step == 0:
                with suppress(UserError):  # a full disk; it is asked again next time
                    write_json(self._base_file(), asdict(measured))
        broadcast_object_list(validation)
        return validation[0]

    def _kept_base(self) -> Validation | None:
        """The base model's measures, if an earlier finetune asked it the same."""
        try:
            return replace(Validation(**read_json(self._base_file())), seconds=self._seconds())
        except (UserError, TypeError):  # none, or one that is damaged
            return None

    def _base_file(self) -> Path:
        trainee, examination = self.trainee, self.examination
        assert examination is not None
        spec, rows = trainee.spec, (examination.rows, examination.chosen.kept_back)
        parts = [
            SCORING_VERSION,
            revision(trainee.folder),
            trainee.network.precision,
            spec.method == "reasoning",
            spec.template,
            spec.seed,
            corpus_digest(examination.chosen.corpus),
            *(frame[["study_id", "sample_id"]].to_csv(index=False) for frame in rows),
        ]
        return folder("cache") / "validations" / f"{digest(parts)}.json"

    def _seconds(self) -> float:
        return round(time.monotonic() - self.begun, 3)


def measure(
    spec: TrainingSpec, examination: Examination, answers: list[Answer], step: int, begun: float
) -> Validation:
    """The measures of the `answers` to all questions of an examination."""
    corpus = examination.chosen.corpus
    table = answered_table(corpus, examination.rows, answers, spec.seed).to_pandas()
    # Everybody who was kept back, not only those who are asked, is what predicted shares are compared with.
    cells = cells_of(corpus, table, examination.chosen.kept_back)
    model = _over_studies(score_cells(cells, model_predictor("", cells)))
    uniform = _over_studies(score_cells(cells, guesses(cells, seed=spec.seed)[0]))
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
    """The answers to all questions, in every process, of which each asks a part."""
    ask = _reason if trainee.spec.method == "reasoning" else _read
    trainee.network.model.eval()
    with autocast(trainee):
        answered = dict(gather_object(list(ask(trainee, chat, questions))))
    trainee.network.model.train()
    return [answered[place] for place in range(len(questions))]


def _part(batches: Sequence[Batch], *, even: bool) -> list[Batch]:
    """This process's part of the batches; with `even`, as many in every process, some of them asked twice."""
    process, n_processes = PartialState().process_index, PartialState().num_processes
    part = list(batches[process::n_processes])
    if even and len(part) < math.ceil(len(batches) / n_processes):
        part.append(batches[0])
    return part


def _reason(trainee: Trainee, chat: Chat, questions: list[Question]) -> Iterator[tuple[int, Answer]]:
    """This process's answers, each by its question's place, combined over drawn rationales."""
    reasoned_chat = ReasonedChat(trainee.folder.chat, trainee.folder.base)

    def ask(reasoned: Sequence[Question]) -> Iterator[dict[int, Answer]]:
        items = _items(reasoned_chat, reasoned)
        yield dict(_answers(trainee, reasoned_chat, _planned(trainee, items)))

    starts = list(range(0, len(questions), AT_ONCE))
    for start in _part(starts, even=False):
        batch = questions[start : start + AT_ONCE]
        prompts = list(chat.encode([question.prompt for question in batch]))
        rationales = draw_rationales(trainee.network, chat, batch, prompts, "exact")
        answers_of = answer_behind(ask, batch, rationales)
        for place, (answers, prompt) in enumerate(zip(answers_of, prompts, strict=True), start):
            yield place, mixture(answers, len(prompt))


def _read(trainee: Trainee, chat: Chat, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
    """This process's answers, each by its question's place."""
    batches = _planned(trainee, _items(chat, questions))
    yield from _answers(trainee, chat, _part(batches, even=trainee.sharded))


def _items(chat: Chat, questions: Sequence[Question]) -> list[Item]:
    prompts = chat.encode([question.prompt for question in questions])
    return [
        Item(prompt, chat.tree(question.options), (place,))
        for place, (prompt, question) in enumerate(zip(prompts, questions, strict=True))
    ]


def _planned(trainee: Trainee, items: list[Item]) -> list[list[Item]]:
    return plan_batches(items, token_budget=trainee.spec.micro_tokens, shared=trainee.network.packed)


def _answers(trainee: Trainee, chat: Chat, batches: Sequence[list[Item]]) -> Iterator[tuple[int, Answer]]:
    """The answer to each item of the batches, by its question's place."""
    reader = ForestReader(lambda: trainee.network, chat.vocabulary, budget=trainee.spec.micro_tokens)
    for batch in batches:
        for part in reader.read(batch):
            for place, readings in part.items():
                yield batch[place].positions[0], tree_answer(batch[place], readings, chat.vocabulary)
