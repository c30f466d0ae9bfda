"""The steps of a finetune, from its YAML to its adapter: the same for every method but for the loss.

Goes on from the last checkpoint where it was stopped. What a step reads is worked out from its number alone, so that
nothing of the order has to be kept.
"""

import errno
import math
import os
import platform
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.utils import broadcast_object_list
from filelock import AcquireReturnProxy, FileLock, Timeout
from safetensors import SafetensorError
from torch.nn.utils import clip_grad_norm_

from socrates_core.errors import UserError
from socrates_core.files import digest, write_json
from socrates_core.finetuning import history
from socrates_core.finetuning.estimate import less_memory, n_steps_of
from socrates_core.finetuning.examples import Example, build_examples, n_target_tokens
from socrates_core.finetuning.overview import load_finetune, what_it_took
from socrates_core.finetuning.publish import publish
from socrates_core.finetuning.rationales import rationales_origin
from socrates_core.finetuning.rows_record import load_rows
from socrates_core.finetuning.run import ENDED, PATIENCE, STOPPED, WORKER
from socrates_core.finetuning.spec import Method, TrainingSpec, load_training, training_path
from socrates_core.finetuning.submission import register
from socrates_core.models.chat import open_chat
from socrates_core.models.local.load import is_out_of_memory
from socrates_core.models.model_folder import check_folder, context_length, open_folder, revision
from training import checkpoint
from training.batches import Batch, batches_of, examples_of_step
from training.model import Trainee, autocast, open_trainee
from training.validation import prepare, validate

Loss = Callable[[Trainee, Batch], torch.Tensor]
WAITING = timedelta(hours=6)
USAGE = (
    "Give the finetune's file: python -m training.{method} CONFIG.yaml (or --training ID to go on with one)."
)


def finetune(method: Method, loss: Loss) -> None:
    """Runs the finetune that the command line names, up to its published model; ends the process."""
    training_id = ""
    try:
        accelerator = Accelerator(
            kwargs_handlers=[
                DistributedDataParallelKwargs(broadcast_buffers=False),
                InitProcessGroupKwargs(timeout=WAITING),  # for the main process, which validates alone
            ]
        )
        if not accelerator.is_main_process:
            told: list[str] = [""]
            training_id = broadcast_object_list(told)[0]
            done = Run(training_id, loss, accelerator).train()
        else:
            training_id = _asked_for(method, sys.argv[1:])
            with _alone(training_id):
                broadcast_object_list([training_id])
                done = Run(training_id, loss, accelerator).train()
                if done:
                    print(f"{training_id}: {publish(training_id)}")
                    card = load_finetune(training_id).card or {}
                    print(what_it_took(card, training_path(training_id)), *card["doubts"], sep="\n")
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (OSError, SafetensorError) as error:
        print(
            f"A file of the finetune could not be written or read ({error}). {_remedy(error)}, then resume."
        )
        sys.exit(2)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        advice = less_memory(load_training(training_id)) if training_id else "a smaller model"
        print(f"Memory ran out. Resume once there is more of it, or start a new finetune with {advice}.")
        sys.exit(2)
    sys.exit(ENDED if done else STOPPED)


def _remedy(error: Exception) -> str:
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return "Free some space" if full else "See to it that it is there and may be written"


def _asked_for(method: Method, arguments: list[str]) -> str:
    """The id of the finetune, which is registered where a file is given. Raises UserError."""
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


class Run:
    """One finetune in this process: what it is made of, and how far it is."""

    def __init__(self, training_id: str, loss: Loss, accelerator: Accelerator) -> None:
        """Opens everything and takes up the last checkpoint. Raises UserError where a part is missing or unfit."""
        self._path, self._spec, self._loss = training_path(training_id), load_training(training_id), loss
        spec, self._accelerator = self._spec, accelerator
        if accelerator.num_processes > spec.batch_size:
            raise UserError(
                f"'batch_size' is {spec.batch_size!r}, so {accelerator.num_processes} processes would have nothing to "
                "share. Give at least one example a process."
            )
        folder = open_folder(spec.base)
        self._chat = open_chat(folder)
        chosen = load_rows(training_id)
        self._examples = build_examples(spec, chosen, chosen.train, self._chat)
        _check_lengths(self._examples, context_length(check_folder(folder.base)), spec)
        self._examination = prepare(chosen, spec.template)
        self._n_steps = n_steps_of(len(self._examples), spec)
        self._trainee = open_trainee(spec)
        self._optimizer = torch.optim.AdamW(
            self._trainee.parameters.values(), lr=spec.learning_rate, weight_decay=spec.weight_decay
        )
        origin = rationales_origin(chosen.corpus, spec.rationales) if spec.method == "reasoning" else None
        told = [spec.digest(), revision(folder), chosen.digest]
        key = digest([*told, origin["sha256"]] if origin else told)
        self._state = checkpoint.load_checkpoint(self._path, self._trainee, self._optimizer, key)
        self._trainee.network.model = self._accelerator.prepare_model(self._trainee.network.model)
        self._begun, self._stopping = time.monotonic(), False
        if self._accelerator.is_main_process:
            history.truncate(self._path, self._state.step or -1)
            checkpoint.drop_others(self._path, self._state)
            n_trained = sum(each.numel() for each in self._trainee.parameters.values())
            plan = {
                "n_examples": len(self._examples),
                "n_steps": self._n_steps,
                "n_trained": n_trained,
                "precision": self._trainee.network.precision,
                "processor": processor(),
                "n_processes": accelerator.num_processes,
                "rationales": origin,
            }
            write_json(self._path / "plan.json", plan)
            self._say(
                f"{len(self._examples):,} examples, {self._n_steps} steps, {n_trained:,} numbers to train"
            )

    def train(self) -> bool:
        """Takes every step that is left; false where it was asked to stop before the last."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        spec = self._spec
        self._trainee.network.model.train()
        if self._state.step == 0 and (base := self._validate(0)) is not None:
            self._state = replace(self._state, least_mass=base.valid_mass - history.MASS_LOST)
        while self._state.step < self._n_steps and self._state.n_without_better < spec.patience:
            step = self._state.step + 1
            told = self._step(step)
            self._say(
                f"step {step}/{self._n_steps} loss {told.loss:.4f} {told.tokens_per_second:,.0f} tokens/s"
            )
            self._state = replace(self._state, step=step)
            last = step == self._n_steps
            due = last or step % spec.evaluate_every == 0
            if self._accelerator.is_main_process:
                history.add(self._path, told)
                if due:
                    self._judge(self._validate(step))
            stopping = self._agree()
            if (stopping or due) and self._accelerator.is_main_process:
                ending = stopping or last or self._state.n_without_better >= spec.patience
                if ending and self._state.best_step is None:
                    self._keep()
                checkpoint.save_checkpoint(self._path, self._trainee, self._optimizer, self._state)
            if stopping and not last:
                self._say(f"stopped after step {step}; --training {self._path.name} goes on from here")
                return False
        return True

    def _step(self, step: int) -> history.Step:
        """Reads the step's examples, of which every process takes a part, and moves the weights once."""
        begun, spec, trainee = time.monotonic(), self._spec, self._trainee
        rate = learning_rate(step, self._n_steps, spec)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        examples = examples_of_step(self._examples, step, spec)
        n_processes, process = self._accelerator.num_processes, self._accelerator.process_index
        own = examples[len(examples) * process // n_processes : len(examples) * (process + 1) // n_processes]
        torch.manual_seed(1_000_003 * spec.seed + 101 * step + process)  # dropout
        batches, total = batches_of(own, trainee.network, spec), 0.0
        for place, batch in enumerate(batches):
            last = place == len(batches) - 1
            waiting = nullcontext() if last else self._accelerator.no_sync(trainee.network.model)
            with waiting, autocast(trainee):
                loss = self._loss(trainee, batch)
                loss.backward()
            total += float(loss.detach())
        size = loss_size(examples, spec)
        total = float(self._accelerator.reduce(torch.tensor(total, device=self._accelerator.device))) / size
        parameters = list(trainee.parameters.values())
        for each in parameters:
            if each.grad is not None:
                each.grad.mul_(n_processes / size)
        norm = float(clip_grad_norm_(parameters, spec.clip))
        if not (math.isfinite(total) and math.isfinite(norm)):
            raise UserError(
                f"The loss is not a number any more at step {step} (loss {total}, gradient {norm}). "
                f"Start again with a learning rate below {spec.learning_rate:g}."
            )
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        seconds, n_tokens = time.monotonic() - begun, sum(each.n_tokens for each in examples)
        return history.Step(
            step=step,
            loss=total,
            learning_rate=rate,
            gradient_norm=norm,
            n_tokens=n_tokens,
            tokens_per_second=round(n_tokens / seconds, 1),
            memory_mb=round(memory_mb(), 1),
            seconds=round(time.monotonic() - self._begun, 3),
        )

    def _validate(self, step: int) -> history.Validation | None:
        """Measures the model after `step` steps; None without validation rows, or in a helping process."""
        if self._examination is None or not self._accelerator.is_main_process:
            return None
        network = self._trainee.network
        wrapped, network.model = network.model, self._trainee.model  # alone: other processes do not take part
        found = validate(self._trainee, self._chat, self._examination, step=step, begun=self._begun)
        network.model = wrapped
        history.add(self._path, found)
        self._say(
            f"validation {step} W {found.w_stated:.4f} (uniform {found.w_uniform:.4f}), "
            f"valid mass {found.valid_mass:.3f}"
        )
        return found

    def _judge(self, found: history.Validation | None) -> None:
        """Keeps the model where it is the best so far, or where there is nothing to judge it by."""
        if found is None or math.isnan(found.w_stated):  # no people, or too few of a cell
            self._keep()
        elif found.w_stated < self._state.best and found.valid_mass >= self._state.least_mass:
            self._state = replace(self._state, best=found.w_stated, n_without_better=0)
            self._keep()
        else:
            self._state = replace(self._state, n_without_better=self._state.n_without_better + 1)

    def _keep(self) -> None:
        checkpoint.save_best(self._path, self._trainee, self._state.step)
        self._state = replace(self._state, best_step=self._state.step)

    def _agree(self) -> bool:
        """Whether to stop, alike in all processes, which take over how the main one judged the validations.

        A process stops after SIGTERM or SIGINT, and where the worker that started it is gone.
        """
        worker = os.environ.get(WORKER)
        stopping = self._stopping or (worker is not None and worker != str(os.getppid()))
        judged = self._state.n_without_better if self._accelerator.is_main_process else 0
        told = torch.tensor([int(stopping), judged], device=self._accelerator.device)
        n_stopping, judged = self._accelerator.reduce(told).tolist()
        self._state = replace(self._state, n_without_better=judged)
        return bool(n_stopping)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _say(self, text: str) -> None:
        if self._accelerator.is_main_process:
            with suppress(BrokenPipeError):  # the worker that listened is gone
                print(text, flush=True)


def learning_rate(step: int, n_steps: int, spec: TrainingSpec) -> float:
    """The rate of step `step` from 1: up in a line over the warm-up, then by the schedule to nothing or constant."""
    n_warm = max(round(spec.warmup * n_steps), 1) if spec.warmup else 0
    if step <= n_warm:
        return spec.learning_rate * step / n_warm
    done = (step - n_warm - 1) / max(n_steps - n_warm, 1)
    falling = {"cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done, "constant": 1.0}
    return spec.learning_rate * falling[spec.schedule]


def processor() -> str:
    """What it is trained on, as the machine calls it."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{torch.get_num_threads()} threads of {platform.processor() or platform.machine()}"


def loss_size(examples: Sequence[Example], spec: TrainingSpec) -> float:
    """What a step's summed loss is divided by: pairs for DPO, else target tokens, both weighted."""
    return sum(each.weight * (1 if spec.method == "dpo" else n_target_tokens([each])) for each in examples)


def memory_mb() -> float:
    """The most memory held so far: of the accelerator where there is one, else of this process."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated() / 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)


def _check_lengths(examples: Sequence[Example], limit: int | None, spec: TrainingSpec) -> None:
    longest = max(each.n_tokens for each in examples)
    if limit is not None and longest > limit:
        n_long = sum(each.n_tokens > limit for each in examples)
        raise UserError(
            f"{n_long:,} of {len(examples):,} examples are longer than the {limit:,} tokens that {spec.base!r} takes; "
            f"the longest has {longest:,}. Leave out their studies with 'studies', or choose another base model."
        )
