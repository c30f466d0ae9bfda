"""What is decided after every step: whether to validate, to keep the model, to save, and to stop."""

import math
import os
import resource
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from socrates_core.finetuning import history
from socrates_core.finetuning.history import Validation
from socrates_core.finetuning.run import WORKER, is_below
from socrates_core.finetuning.spec import TrainingSpec
from training import checkpoint
from training.checkpoint import State


class Verdict(TrainerCallback):
    """Writes the history, keeps the best model so far, and ends the finetune; the same in every process.

    `validates` says whether rows were kept back. Without any, every model that is due is kept.
    """

    trainer: Any  # the ForestTrainer that this is a callback of

    def __init__(
        self, path: Path, spec: TrainingSpec, state: State, *, n_steps: int, validates: bool, begun: float
    ) -> None:
        self.state = state
        self._path, self._spec, self._n_steps = path, spec, n_steps
        self._validates, self._begun = validates, begun
        self._is_main = PartialState().is_main_process
        self._since = begun
        self._stopping = False

    @property
    def ended(self) -> bool:
        """Whether no step is left: all are taken, or patience is at its end."""
        return self.state.step >= self._n_steps or self.state.n_without_better >= self._spec.patience

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop before its last step."""
        return self._stopping and self.state.step < self._n_steps

    def listen(self) -> None:
        """From now on SIGTERM and SIGINT end the finetune after its step."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "_stopping", True))

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._since = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.state = replace(self.state, step=state.global_step)
        self._stopping = self._agree()
        control.should_evaluate = self._is_due and self._validates
        control.should_save = self._is_due or self._stopping
        control.should_training_stop |= self._stopping

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        seconds = time.monotonic() - self._since
        n_tokens = self.trainer.n_tokens_of(state.global_step)
        step = history.Step(
            step=state.global_step,
            loss=logs["loss"],
            learning_rate=logs["learning_rate"],
            gradient_norm=logs["grad_norm"],
            n_tokens=n_tokens,
            tokens_per_second=round(n_tokens / seconds, 1),
            memory_mb=round(memory_mb(), 1),
            seconds=round(time.monotonic() - self._begun, 3),
        )
        if self._is_main:
            history.add(self._path, step)
        self.say(
            f"step {step.step}/{self._n_steps} loss {step.loss:.4f} {step.tokens_per_second:,.0f} tokens/s"
        )
        if self._is_due and not self._validates:
            self.keep()
        self._since = time.monotonic()

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        control.should_training_stop |= self.ended
        self._since = time.monotonic()

    def on_save(self, *_: Any, **__: Any) -> None:
        self._since = time.monotonic()

    def judge(self, validation: Validation) -> None:
        """Keeps the model if it is the best so far, or if there is nothing to judge it by."""
        if self._is_main:
            history.add(self._path, validation)
        self.say(
            f"validation {validation.step} W {validation.w_stated:.4f} (uniform {validation.w_uniform:.4f}), "
            f"valid mass {validation.valid_mass:.3f}"
        )
        if validation.step == 0:  # the base model
            self.state = replace(self.state, least_mass=validation.valid_mass - history.MASS_LOST)
        elif math.isnan(validation.w_stated):  # too few people of a cell
            self.keep()
        elif validation.w_stated < self.state.best and validation.valid_mass >= self.state.least_mass:
            self.state = replace(self.state, best=validation.w_stated, n_without_better=0)
            self.keep()
        else:
            self.state = replace(self.state, n_without_better=self.state.n_without_better + 1)

    def keep_if_last(self) -> None:
        """Keeps the model if the finetune ends here and nothing was kept yet."""
        if (self.ended or self._stopping) and self.state.best_step is None:
            self.keep()

    def keep(self) -> None:
        """Keeps the model as it is now as the best so far."""
        checkpoint.save_best(self._path, self.trainer.trainee, self.state.step, is_main=self._is_main)
        self.state = replace(self.state, best_step=self.state.step)

    def say(self, text: str) -> None:
        """Prints a line of the log, once for all processes."""
        if self._is_main:
            with suppress(BrokenPipeError):  # the worker that listened is gone
                print(text, flush=True)

    @property
    def _is_due(self) -> bool:
        return self.state.step == self._n_steps or self.state.step % self._spec.evaluate_every == 0

    def _agree(self) -> bool:
        """Whether to stop, the same in all processes: one got a signal, or its worker is gone."""
        worker = os.environ.get(WORKER)
        stopping = self._stopping or (worker is not None and not is_below(int(worker)))
        votes = reduce(torch.tensor([int(stopping)], device=PartialState().device), "sum")
        return bool(votes.item())


def memory_mb() -> float:
    """The most memory held so far in MiB: of the accelerator if there is one, else of this process."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated() / 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)
