"""How fast finetuning is, in how much memory and to which loss, against trl's SFTTrainer on the same examples.

    python -m benchmarks.train [--quick] [--ways ours before trl] [--examples 16]

The starter model learns by LoRA from the starter corpus. In every round every way takes the same steps from the same
adapter, in a process of its own, one after the other; ratios are medians over the rounds. Tokens are those of the
examples, however often a way reads them, or pads them. The first step of each process does not count. Numbers are
bf16 where the processor computes in it, else fp32, for every way alike. "before" is the project's loop as it was before
it ran on trl's trainer, from git.
"""

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import yaml

from benchmarks.score import machine
from socrates_core import settings
from socrates_core.corpus import open_corpus
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.files import write_text
from socrates_core.finetuning.examples import Example, build_examples
from socrates_core.finetuning.history import read_history
from socrates_core.finetuning.rows import choose_rows
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec, load_training
from socrates_core.models.chat import open_chat
from socrates_core.models.local.load import has_bf16
from socrates_core.models.model_folder import find_model, open_folder
from socrates_core.settings import CODE

OURS, NOT_SHARED, BEFORE, TRL = "ours", "ours, nothing shared", "before", "trl"
LAST_BEFORE = "57eb3c0"  # the last commit whose loop was not trl's
WAYS: dict[str, dict[str, Any]] = {
    OURS: {},
    BEFORE: {},
    NOT_SHARED: {"share_people": False},
    TRL: {},
    "trl, no checkpointing": {"gradient_checkpointing": False},
    "trl, padding-free": {"gradient_checkpointing": False, "padding_free": True, "max_length": None},
}
OWN = {
    OURS: "import sys\nfrom training.loop import open_trainer\nfrom training.sft import loss\n"
    "open_trainer(sys.argv[1], loss).finish()",
    BEFORE: "import sys\nfrom accelerate import Accelerator\nfrom training.loop import Run\n"
    "from training.sft import loss\nRun(sys.argv[1], loss, Accelerator()).train()",
}
OWN[NOT_SHARED] = OWN[OURS]
AT_ONCE = 8  # rows that trl reads at a time, its default
BARS = {BEFORE: 0.95, TRL: 2.0}  # times as many tokens a second
TOLERANCE = 0.02  # of the loss, relative: rounding in bf16


@dataclass(frozen=True)
class Measured:
    """One way in one round: tokens a second, the most memory in MB, the loss of every step."""

    rate: float
    memory: float
    losses: list[float]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="3 steps in one round: some minutes")
    arguments.add_argument(
        "--way", choices=WAYS, help="train in this way alone, here, in a home that is ready"
    )
    arguments.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS], help="only these")
    arguments.add_argument("--steps", type=int, default=6)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--examples", type=int, default=16, help="a step")
    arguments.add_argument("--training", help="of --way: the finetune in that home")
    chosen = arguments.parse_args()
    if chosen.way:
        return print(json.dumps(train_trl(chosen.way, load_training(chosen.training)).__dict__))
    n_steps, n_rounds = (3, 1) if chosen.quick else (chosen.steps, chosen.rounds)
    if OURS not in chosen.ways:
        arguments.error(f"--ways leaves {OURS!r} out, with which the others are compared")
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder) / "home")
        code_before = Path(folder) / "before"
        if BEFORE in chosen.ways:
            check_out(code_before)
        print(
            f"{machine()}\nstarter, LoRA r16, {number_format()}, {chosen.examples} examples a step, {n_steps} steps in "
            f"{n_rounds} rounds"
        )
        rounds = []
        for number in range(n_rounds):
            # Every other round backwards, so that a machine that grows slower favors none.
            ways = chosen.ways[:: -1 if number % 2 else 1]
            spec = spec_of(n_steps, number, batch_size=chosen.examples)
            measured = {way: measure(way, spec, code_before) for way in ways}
            rounds.append({way: measured[way] for way in chosen.ways})
    report(rounds)


def check_out(folder: Path) -> None:
    """Puts the project as it was at LAST_BEFORE into `folder`."""
    archive = subprocess.run(
        ["git", "archive", LAST_BEFORE], cwd=CODE, capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")


def prepare(home: Path) -> None:
    """A home with the starter corpus, the starter model and a split, so that the user's own stays as it is."""
    shutil.copytree(settings.home() / "corpora" / "starter", home / "corpora" / "starter")
    (home / "models").mkdir()
    (home / "models" / "starter").symlink_to(find_model("starter"))
    os.environ["SOCRATES_HOME"] = str(home)
    save_split(make_split(open_corpus("starter"), "participants", name="bench", share=0.1))


def number_format() -> Literal["bf16", "fp32"]:
    """What this processor computes in at full speed."""
    return "bf16" if has_bf16(torch.device("cpu")) else "fp32"


def spec_of(n_steps: int, number: int, **changes: Any) -> TrainingSpec:
    """The finetune of round `number`."""
    return TrainingSpec.model_validate(
        {
            "name": "bench",
            "split": "bench",
            "per_cell": 8,
            "validation_share": 0.0,
            "seed": number,
            "precision": number_format(),
            "learning_rate": 5e-4,
            "schedule": "constant",
            "warmup": 0.0,
            "batch_size": 16,
            "max_steps": n_steps,
            "evaluate_every": 10_000,
            **changes,
        }
    )


def measure(way: str, spec: TrainingSpec, code_before: Path) -> Measured:
    """One way in one round, in a process of its own."""
    training_id = f"{way.replace(' ', '-').replace(',', '')}-{spec.seed}"
    # Without what is at its default: the loop before does not know fields that came later.
    fields = (spec.model_copy(update=WAYS[way]) if way in OWN else spec).model_dump(
        mode="json", exclude_defaults=True
    )
    write_text(TRAININGS.root / training_id / "spec.yaml", yaml.safe_dump(fields))
    if way in OWN:
        command = [sys.executable, "-c", OWN[way], training_id]
    else:
        command = [sys.executable, "-m", "benchmarks.train", "--way", way, "--training", training_id]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=code_before if way == BEFORE else CODE,
    )
    if ran.returncode:
        raise SystemExit(f"{way}: {ran.stderr}")
    measured = (
        from_history(training_id) if way in OWN else Measured(**json.loads(ran.stdout.splitlines()[-1]))
    )
    print(f"round {spec.seed + 1}, {way}: {measured.rate:,.0f} tokens/s", flush=True)
    return measured


def from_history(training_id: str) -> Measured:
    """A finetune's measures by its own history, from the end of its first step to that of its last."""
    steps, _ = read_history(training_id)
    seconds = steps["seconds"].iloc[-1] - steps["seconds"].iloc[0]
    return Measured(
        float(steps["n_tokens"].iloc[1:].sum() / seconds),
        float(steps["memory_mb"].max()),
        steps["loss"].tolist(),
    )


def train_trl(way: str, spec: TrainingSpec) -> Measured:
    from training.data import StepSampler

    chosen = choose_rows(spec)
    examples = build_examples(spec, chosen, chosen.train, open_chat(open_folder(spec.base)))
    assert spec.max_steps is not None
    sampler = StepSampler(np.array([example.person for example in examples]), spec, spec.max_steps)
    steps = [[examples[place] for place in sampler.places(step)] for step in range(1, spec.max_steps + 1)]
    return train_plainly(steps, spec, WAYS[way])


def train_plainly(
    steps: Sequence[Sequence[Example]], spec: TrainingSpec, options: dict[str, Any]
) -> Measured:
    """The same steps by trl's SFTTrainer from the same adapter: loss on the answers, its own padding."""
    from datasets import Dataset
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    path = find_model(spec.base)
    torch.manual_seed(spec.seed)
    config = LoraConfig(
        r=spec.rank, lora_alpha=int(spec.alpha), target_modules="all-linear", task_type="CAUSAL_LM"
    )
    dtype = torch.bfloat16 if spec.precision == "bf16" else torch.float32
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(path, dtype=dtype), config)
    rows = [
        {
            "input_ids": [*each.prompt.tolist(), *each.answers[0]],
            "completion_mask": [0] * len(each.prompt) + [1] * len(each.answers[0]),
        }
        for step in steps
        for each in step
    ]
    moments = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            moments.append(time.monotonic())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            moments.append(time.monotonic())

    told = SFTConfig(
        **{
            "output_dir": str(TRAININGS.root / "plain"),
            "per_device_train_batch_size": AT_ONCE,
            "gradient_accumulation_steps": spec.batch_size // AT_ONCE,
            "max_steps": len(steps),
            "logging_steps": 1,
            "learning_rate": spec.learning_rate,
            "lr_scheduler_type": "constant",
            "completion_only_loss": True,
            "train_sampling_strategy": "sequential",
            "save_strategy": "no",
            "report_to": [],
            "disable_tqdm": True,
            "use_cpu": not torch.cuda.is_available(),
            "bf16": spec.precision == "bf16",
            **options,
        }
    )
    trainer = SFTTrainer(
        model,
        told,
        train_dataset=Dataset.from_list(rows),
        callbacks=[Clock()],
        processing_class=AutoTokenizer.from_pretrained(path),
    )
    trainer.train()
    seconds = sum(stop - start for start, stop in zip(moments[2::2], moments[3::2], strict=True))
    n_tokens = sum(each.n_tokens for step in steps[1:] for each in step)
    losses = [float(each["loss"]) for each in trainer.state.log_history if "loss" in each]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(n_tokens / seconds, memory, losses)


def report(rounds: Sequence[dict[str, Measured]]) -> None:
    """What every way took, and the ratios; a way whose losses are others does not learn the same."""
    print(f"\n{'':24}{'tokens/s':>10}{'least':>8}{'most':>8}{'peak MB':>10}{'first loss':>12}{'last':>8}")
    for way in rounds[0]:
        own = [each[way] for each in rounds]
        rates = [each.rate for each in own]
        memory = np.median([each.memory for each in own])
        first, last = (np.mean([each.losses[place] for each in own]) for place in (0, -1))
        print(
            f"{way:24}{np.median(rates):10,.0f}{min(rates):8,.0f}{max(rates):8,.0f}{memory:10,.0f}"
            f"{first:12.4f}{last:8.4f}"
        )
    print()
    for way in rounds[0]:
        if not way.startswith((BEFORE, TRL)):
            continue
        faster = np.median([each[OURS].rate / each[way].rate for each in rounds])
        smaller = np.median([each[way].memory / each[OURS].memory for each in rounds])
        apart = max(np.abs(np.divide(each[OURS].losses, each[way].losses) - 1).max() for each in rounds)
        bar = BARS[BEFORE if way == BEFORE else TRL]
        print(
            f"ours against {way}: {faster:.2f}x the tokens a second (bar {bar:g}x), {smaller:.2f} times less memory, "
            f"losses at most {apart:.1%} apart (bar {TOLERANCE:.0%})"
        )


if __name__ == "__main__":
    main()
