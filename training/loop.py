"""Runs a finetune, from its YAML to its published model: the same for every method except for the loss.

It goes on from the last checkpoint. The main process chooses the rows and makes examples of them; the others read
what it wrote.
"""

import errno
import os
import platform
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from filelock import AcquireReturnProxy, FileLock, Timeout
from safetensors import SafetensorError

from socrates_core.errors import UserError
from socrates_core.files import digest, write_json
from socrates_core.finetuning import history
from socrates_core.finetuning.estimate import less_memory
from socrates_core.finetuning.examples import build_examples
from socrates_core.finetuning.overview import load_finetune, what_it_took
from socrates_core.finetuning.publish import publish
from socrates_core.finetuning.rationales import rationales_origin
from socrates_core.finetuning.rows import n_steps_of
from socrates_core.finetuning.rows_record import load_rows
from socrates_core.finetuning.run import ENDED, ENDING, PATIENCE, STOPPED
from socrates_core.finetuning.spec import TRAININGS, Method, TrainingSpec, load_training, training_path
from socrates_core.finetuning.submission import register
from socrates_core.models.chat import Chat, open_chat
from socrates_core.models.local.load import is_out_of_memory
from socrates_core.models.model_folder import ModelFolder, check_folder, context_length, open_folder, revision
from socrates_core.settings import folder
from training import checkpoint
from training.data import column, open_examples, write_examples
from training.model import open_trainee
from training.trainer import WAITING, ForestTrainer, Loss
from training.validation import Examination, Examiner, prepare
from training.verdict import Verdict

USAGE = (
    "Give the finetune's file: python -m training.{method} CONFIG.yaml (or --training ID to go on with one)."
)
Made = TypeVar("Made")
LOST = ("Connection closed by peer", "Connection reset by peer", "Socket closed", "Broken pipe", "NCCL")


def finetune(method: Method, loss: Loss) -> None:
    """Runs the finetune that the command line names, up to its published model; ends the process."""
    training_id = ""
    try:
        check_launcher()
        processes = PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(seconds=WAITING))
        if not processes.is_main_process:
            training_id = shared(lambda: "")
            done = open_trainer(training_id, loss).finish()
        else:
            training_id = shared(lambda: _requested(method, sys.argv[1:]))
            with _alone(training_id):
                done = open_trainer(training_id, loss).finish()
                if done:
                    print(f"{training_id}: {publish(training_id)}")
                    card = load_finetune(training_id).card or {}
                    print(what_it_took(card, training_path(training_id)), *card["doubts"], sep="\n")
    except UserError as error:
        _end(training_id, str(error))
    except (OSError, SafetensorError) as error:
        _end(
            training_id,
            f"A file of the finetune could not be written or read ({error}). {_remedy(error)}, then resume.",
        )
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            advice = less_memory(load_training(training_id)) if training_id else "a smaller model"
            _end(
                training_id,
                f"Memory ran out. Resume once there is more of it, or start a new finetune with {advice}.",
            )
        if PartialState().num_processes > 1 and any(text in str(error) for text in LOST):
            _end(
                training_id,
                "Another process of this finetune ended. Resume goes on from its last checkpoint.",
            )
        raise
    sys.exit(ENDED if done else STOPPED)


def _end(training_id: str, sentence: str) -> None:
    """Says why the finetune ends, also in its folder, since a launcher of several processes hides it; exits."""
    if PartialState().is_main_process:
        print(sentence, file=sys.stderr)
        if training_id in TRAININGS.ids():
            with suppress(OSError):  # perhaps the disk is full, which the sentence says
                (training_path(training_id) / ENDING).write_text(sentence, encoding="utf-8")
    sys.exit(2)


def _remedy(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return "Free some space" if full else "Check that it exists and is writable"


def check_launcher() -> None:
    """Raises UserError for launchers under which every process would train alone, or weights be sharded twice."""
    for name, variable in {"DeepSpeed": "ACCELERATE_USE_DEEPSPEED", "FSDP": "ACCELERATE_USE_FSDP"}.items():
        if os.environ.get(variable, "false").lower() == "true":
            raise UserError(
                f"Finetunes do not run under {name} of accelerate. Launch with --multi_gpu and --num_processes alone: "
                "tuning 'full' then shards weights, gradients, and optimizer over the processes by itself."
            )


def shared(make: Callable[[], Made]) -> Made:
    """What the main process makes, in every process. If it fails there, the others end without a word."""
    if PartialState().num_processes == 1:
        return make()
    result: list[Any] = [False, None]
    try:
        if PartialState().is_main_process:
            result = [True, made := make()]
            return made
    finally:  # also if it fails: the others wait
        broadcast_object_list(result)
    if not result[0]:
        sys.exit(2)
    received: Made = result[1]
    return received


def _requested(method: Method, arguments: list[str]) -> str:
    """The id of the finetune; it is registered if a file is given. Raises UserError."""
    if len(arguments) == 2 and arguments[0] == "--training":
        return arguments[1]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise UserError(USAGE.format(method=method))
    return register(Path(arguments[0]), method)


def _alone(training_id: str) -> AcquireReturnProxy[Any]:
    """Holds the finetune for this process; waits for one that was left behind to stop. Raises UserError."""
    try:
        return FileLock(training_path(training_id) / ".lock", timeout=PATIENCE).acquire()
    except Timeout as error:
        raise UserError(
            f"Another process trains {training_id!r} already. Wait for it, or cancel its job."
        ) from error


@dataclass(frozen=True, eq=False)
class Prepared:
    """What the main process makes ready: the file of examples, and the questions of each validation.

    `key` is a digest of rows, settings and weights; `origin` says where rationales come from, with SFT on them.
    """

    key: str
    examples: Path
    examination: Examination | None
    origin: dict[str, Any] | None


def open_trainer(training_id: str, loss: Loss) -> ForestTrainer:
    """Opens everything and goes on from the last checkpoint. Raises UserError if a part is missing or unfit."""
    begun = time.monotonic()
    path, spec = training_path(training_id), load_training(training_id)
    n_processes = PartialState().num_processes
    if n_processes > spec.batch_size:
        raise UserError(
            f"'batch_size' is {spec.batch_size!r}, so {n_processes} processes would have nothing to share. Give at "
            "least one example a process."
        )
    _check_tools(spec, n_processes)
    base = open_folder(spec.base)
    chat = open_chat(base)
    prepared = shared(lambda: _prepare(training_id, spec, base, chat))
    examples = open_examples(prepared.examples)
    _check_lengths(examples, context_length(check_folder(base.base)), spec)
    n_steps = n_steps_of(len(examples), spec)
    trainee = open_trainee(spec)
    state = checkpoint.read_state(path, prepared.key)
    examiner = Examiner(trainee, chat, prepared.examination, begun)
    verdict = Verdict(
        path, spec, state, n_steps=n_steps, validates=prepared.examination is not None, begun=begun
    )
    n_trained = sum(weight.numel() for weight in trainee.parameters.values())
    trainer = ForestTrainer(
        path, trainee, examples, loss=loss, examine=examiner, verdict=verdict, n_steps=n_steps
    )
    if PartialState().is_main_process:
        history.truncate(path, state.step or -1)
        checkpoint.drop_others(path, state)
        plan = {
            "n_examples": len(examples),
            "n_steps": n_steps,
            "n_trained": n_trained,
            "precision": trainee.network.precision,
            "processor": processor(),
            "n_processes": n_processes,
            "rationales": prepared.origin,
        }
        write_json(path / "plan.json", plan)
    verdict.say(f"{len(examples):,} examples, {n_steps} steps, {n_trained:,} numbers to train")
    return trainer


def _check_tools(spec: TrainingSpec, n_processes: int) -> None:
    """Raises UserError for an optimizer that cannot run here, or if a tracker is not installed."""
    if spec.optimizer != "adamw" and not torch.cuda.is_available():
        raise UserError(f"The optimizer {spec.optimizer!r} needs an NVIDIA GPU. Choose 'adamw'.")
    if spec.optimizer != "adamw" and spec.tuning == "full" and n_processes > 1:
        raise UserError(
            f"The optimizer {spec.optimizer!r} does not work on weights that are shared by {n_processes} processes. "
            "Choose 'adamw', whose moments are then shared too."
        )
    if spec.report_to != "none" and not find_spec(spec.report_to):
        raise UserError(f"{spec.report_to} is not installed. Install it: pip install {spec.report_to}")


def _prepare(training_id: str, spec: TrainingSpec, base: ModelFolder, chat: Chat) -> Prepared:
    chosen = load_rows(training_id)
    origin = rationales_origin(chosen.corpus, spec.rationales) if spec.method == "reasoning" else None
    parts = [spec.digest(), revision(base), chosen.digest]
    key = digest([*parts, origin["sha256"]] if origin else parts)
    file = folder("cache") / "examples" / f"{key}.arrow"
    if not file.exists():
        write_examples(file, build_examples(spec, chosen, chosen.train, chat))
    return Prepared(key, file, prepare(chosen, spec), origin)


def processor() -> str:
    """What it is trained on, as the machine calls it."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{torch.get_num_threads()} threads of {platform.processor() or platform.machine()}"


def _check_lengths(examples: Dataset, limit: int | None, spec: TrainingSpec) -> None:
    n_tokens = column(examples, "n_tokens")
    if limit is not None and n_tokens.max() > limit:
        n_long = int((n_tokens > limit).sum())
        raise UserError(
            f"{n_long:,} of {len(examples):,} examples are longer than the {limit:,} tokens that {spec.base!r} takes; "
            f"the longest has {n_tokens.max():,}. Leave out their studies with 'studies', or choose another base model."
        )
