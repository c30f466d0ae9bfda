"""A small corpus, a split of it and a tiny random base, and finetunes over them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from socrates_core.corpus.socsci210 import Request, run_import
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.corpus.store import open_corpus
from socrates_core.finetuning.examples import Example, build_examples, n_target_tokens
from socrates_core.finetuning.history import read_history
from socrates_core.finetuning.publish import publish
from socrates_core.finetuning.rows import choose_rows
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec
from socrates_core.models.chat import open_chat
from socrates_core.models.model_folder import open_folder
from tests.support.socsci210_rows import Quiet, asked, study, write_rows
from tests.support.tiny_models import make_tiny_model
from training import distribution, dpo, sft
from training.batches import batches_of
from training.data import StepSampler
from training.loop import open_trainer
from training.model import Trainee, open_trainee
from training.trainer import Loss

LOSSES: dict[str, Loss] = {
    "sft": sft.loss,
    "reasoning": sft.loss,
    "dpo": dpo.loss,
    "distribution": distribution.loss,
}
HUNDRED = "Only return an integer from 0 to 100, nothing else."
TINY: dict[str, Any] = {  # in shapes that 4 bits take
    "num_hidden_layers": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_key_value_heads": 4,
    "head_dim": 16,
    "initializer_range": 0.1,
    "max_position_embeddings": 2048,
}


def people_of(study_id: str, n: int = 16) -> list[dict[str, Any]]:
    """Two conditions between people, and two answers of each: about 2 and 6 of 7, about 10 and 100 of 100."""
    rng = np.random.default_rng(sum(map(ord, study_id)))
    rows = []
    for who in range(n):
        for task, (text, instruction) in enumerate({"How often?": "", "How warm?": HUNDRED}.items()):
            told = asked(text, *filter(None, [instruction]), read=f"Rule {study_id} {'AB'[who % 2]}.")  # type: ignore[misc]
            high = 4 * (who % 2) if task == 0 else 90 * (who % 2)
            rows.append((who, who % 2, task, told, int(rng.integers(1, 4)) + high + 7 * task))
    return study(study_id, rows)


def make_finetuning_home(path: Path) -> Path:
    """Fills `path` with the corpus "made", its split "held" and the base model "tiny"."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(path))
        rows = [row for study_id in ("aaaaa", "bbbbb", "ccccc") for row in people_of(study_id)]
        request = Request(str(write_rows(path / "rows.parquet", rows)), reasoning=True, name="made")
        corpus = open_corpus(run_import(request, Quiet())["corpus"])
        save_split(make_split(corpus, "participants", name="held", share=0.25, seed=1))
        make_tiny_model(path / "models" / "tiny", "single-digit", **TINY)
    return path


def spec_of(**changes: Any) -> TrainingSpec:
    """A finetune of a few short steps in fp32."""
    usual: dict[str, Any] = {
        "name": "tuned",
        "base": "tiny",
        "split": "held",
        "precision": "fp32",
        "rank": 4,
        "alpha": 8.0,
        "learning_rate": 5e-3,
        "warmup": 0.0,
        "batch_size": 8,
        "max_steps": 4,
        "evaluate_every": 2,
        "validation_share": 0.0,
        "validation_cap": 2,
        "micro_tokens": 1024,
    }
    return TrainingSpec.model_validate(usual | changes)


def write_spec(spec: TrainingSpec) -> Path:
    """The YAML file of a finetune in the home."""
    path = TRAININGS.root.parent / f"{spec.name}.yaml"
    path.write_text(spec.as_yaml())
    return path


def freeze(spec: TrainingSpec, training_id: str = "") -> str:
    """Puts a finetune where it is trained from; returns its id."""
    path = TRAININGS.root / (training_id or spec.name)
    path.mkdir(parents=True)
    (path / "spec.yaml").write_text(spec.as_yaml())
    return path.name


def train(spec: TrainingSpec, training_id: str = "") -> str:
    """Trains in this process to the end and publishes; returns the finetune's id."""
    made = freeze(spec, training_id)
    assert open_trainer(made, LOSSES[spec.method]).finish()
    publish(made)
    return made


def losses(training_id: str) -> list[float]:
    """The loss of every step in order."""
    return [float(each) for each in read_history(training_id)[0]["loss"]]


def examples_for(spec: TrainingSpec) -> list[Example]:
    chosen = choose_rows(spec)
    return build_examples(spec, chosen, chosen.train, open_chat(open_folder(spec.base)))


def examples_of_step(examples: list[Example], step: int, spec: TrainingSpec) -> list[Example]:
    """The examples that the step reads."""
    people = np.array([example.person for example in examples])
    return [examples[place] for place in StepSampler(people, spec, step).places(step)]


def loss_size(examples: list[Example]) -> float:
    """What the summed loss of a step of SFT is divided by."""
    return sum(example.weight * n_target_tokens([example]) for example in examples)


def loss_of(trainee: Trainee, examples: list[Example], loss: Loss) -> torch.Tensor:
    """The summed loss of the examples, in the batches in which a step reads them."""
    batches = batches_of(examples, trainee.network, trainee.spec)
    return torch.stack([loss(trainee, batch) for batch in batches]).sum()


def open_noisy(spec: TrainingSpec) -> Trainee:
    """What is trained, with an adapter that no longer does nothing."""
    trainee, generator = open_trainee(spec), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for each in trainee.parameters.values():
            each.add_(0.1 * torch.randn(each.shape, generator=generator))
    return trainee
