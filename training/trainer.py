"""The loop of a finetune: trl's trainer over the project's forest of prompts and its one loss over answer trees.

It reads top to bottom: what a step reads, what it does, how the weights move, how it is measured, what is kept. Where
what comes from trl or transformers would change a result, it is undone here, with the reason at the line.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader
from transformers import AutoTokenizer, PrinterCallback
from trl import SFTConfig, SFTTrainer

from socrates_core.errors import UserError
from socrates_core.finetuning.estimate import less_memory
from socrates_core.finetuning.examples import Example
from socrates_core.finetuning.history import Validation
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.models.local.backing_off import with_fewer_tokens
from training import checkpoint
from training.batches import Batch, batches_of
from training.data import StepSampler, column, loss_sizes, to_examples
from training.model import Trainee, autocast
from training.verdict import Verdict

Loss = Callable[[Trainee, Batch], torch.Tensor]
WAITING = 6 * 3600  # seconds that processes wait for each other
OPTIMIZERS = {
    "adamw": "adamw_torch",
    "adamw_8bit": "adamw_bnb_8bit",
    "paged_adamw": "paged_adamw",
    "paged_adamw_8bit": "paged_adamw_8bit",
}


class ForestTrainer(SFTTrainer):
    """trl's SFTTrainer with the project's order of examples, batches, losses, measures and checkpoints.

    `verdict` judges validations and says when to validate, save and stop; `examine` measures the model after a number
    of steps, or returns None without validation rows. Every process has a trainer, and all take every step together.
    """

    def __init__(
        self,
        path: Path,
        trainee: Trainee,
        examples: Dataset,
        *,
        loss: Loss,
        examine: Callable[[int], Validation | None],
        verdict: Verdict,
        n_steps: int,
    ) -> None:
        self.path, self.spec, self.trainee, self.n_steps = path, trainee.spec, trainee, n_steps
        self.loss_of, self.examine, self.verdict = loss, examine, verdict
        self.examples: Any = examples  # torch's loader knows its own data sets alone
        model = trainee.model
        in_fp32 = {}
        if trainee.spec.tuning == "qlora":
            in_fp32 = {name: weight.detach().clone() for name, weight in trainee.parameters.items()}
        use_cache = model.config.use_cache
        super().__init__(
            model,
            arguments_of(path, trainee.spec, n_steps, starts=verdict.state.step == 0),
            data_collator=lambda rows: {"examples": to_examples(rows)},
            train_dataset=examples,
            processing_class=AutoTokenizer.from_pretrained(trainee.folder.chat),
            callbacks=[verdict],
        )
        # trl rounds the adapters of QLoRA to bf16. At the learning rates of DPO most steps would then be lost.
        for name, values in in_fp32.items():
            trainee.parameters[name].data = values
        # With a tokenizer here, training would write its special tokens into the model's configuration.
        self.processing_class = None
        model.config.use_cache = use_cache
        self.remove_callback(PrinterCallback)
        if trainee.spec.tuning == "full" and self.accelerator.num_processes > 1:
            trainee.shard()
            self.is_distributed_loading_by_transformers = True  # so that it is not wrapped once more
        self.sampler = StepSampler(
            column(examples, "person"),
            trainee.spec,
            n_steps,
            done=verdict.state.step,
            process=self.accelerator.process_index,
            n_processes=self.accelerator.num_processes,
        )
        self._loss_sizes = loss_sizes(examples, trainee.spec)
        self._n_tokens = column(examples, "n_tokens")
        self._micro_tokens = trainee.spec.micro_tokens
        verdict.trainer = self

    def _send_telemetry(self) -> None:
        """Nothing is sent: trl would report its version, the model's architecture and the GPU."""

    # What a step reads

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Each process's part of the steps that are left."""
        return DataLoader(self.examples, batch_sampler=self.sampler, collate_fn=self.data_collator)

    def n_tokens_of(self, step: int) -> int:
        """The tokens of all examples of a step."""
        return int(self._n_tokens[self.sampler.places(step)].sum())

    def _init_training_state(self, *given: Any, **named: Any) -> tuple[int, int]:
        begun = super()._init_training_state(*given, **named)
        self.state.global_step = self.sampler.done
        return begun

    # What a step does

    def training_step(
        self, model: Any, inputs: Mapping[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Adds the gradients of this process's examples; returns its part of the loss, times the processes.

        Processes take the mean of gradients and losses, so the sum over all examples is divided by the step's size.
        """
        examples: list[Example] = inputs["examples"]

        def read(micro_tokens: int) -> torch.Tensor:
            model.zero_grad()  # half of the gradients may be there from an attempt for which memory did not last
            return self._add_gradients(model, examples, micro_tokens)

        if self.accelerator.num_processes > 1:  # the others would wait for this one's half-done step
            return read(self._micro_tokens)
        longest = max(example.n_tokens for example in examples)
        remedy = less_memory(self.spec, longest=self.spec.micro_tokens)  # fewer at a time were tried in vain
        advice = f"Resume once there is more of it, or start a new finetune with {remedy}."
        loss, self._micro_tokens = with_fewer_tokens(read, self._micro_tokens, least=longest, advice=advice)
        return loss

    def _add_gradients(self, model: Any, examples: list[Example], micro_tokens: int) -> torch.Tensor:
        step = self.state.global_step + 1
        process, n_processes = self.accelerator.process_index, self.accelerator.num_processes
        self.trainee.network.model = model
        model.train()
        torch.manual_seed(1_000_003 * self.spec.seed + 101 * step + process)  # dropout
        scale = n_processes / float(self._loss_sizes[self.sampler.places(step)].sum())
        batches = batches_of(examples, self.trainee.network, self.spec, micro_tokens)
        n_batches = self._most(len(batches)) if self.trainee.sharded else len(batches)
        total = torch.zeros((), device=self.args.device)
        for place in range(n_batches):
            # Where weights are sharded, every process runs the model equally often: the last batch again, for nothing.
            batch = batches[min(place, len(batches) - 1)]
            is_last = place == n_batches - 1
            waiting = nullcontext() if is_last or self.trainee.sharded else self.accelerator.no_sync(model)
            with waiting, autocast(self.trainee):
                loss = self.loss_of(self.trainee, batch)
                loss = loss if place < len(batches) else 0 * loss
                self.accelerator.backward(loss)
            total += loss.detach()
        # After the backward pass, as before trl: scaled before it, 4 bits round differently, by 3e-4 of a loss.
        for parameter in self.trainee.parameters.values():
            if parameter.grad is not None:
                parameter.grad.mul_(scale)
        loss_here: torch.Tensor = total * scale
        return loss_here

    def _most(self, number: int) -> int:
        """The largest `number` of all processes."""
        return int(self.accelerator.gather(torch.tensor([number], device=self.args.device)).max())

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> None:
        """Nothing: a step's size follows from its number."""

    def floating_point_ops(self, inputs: Mapping[str, Any]) -> int:
        """Not counted: a forest shares what a count by examples would count often."""
        return 0

    # How the weights move

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """One group: weight decay is the same for all trained weights."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args)
            weights = list(self.trainee.parameters.values())
            self.optimizer = kind(weights, weight_decay=self.spec.weight_decay, **options)
        return self._torch_optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LambdaLR:
        """The learning rate by the number of the step."""
        if self.lr_scheduler is None:
            share = learning_rate_of(self.spec, self.n_steps)
            self.lr_scheduler = LambdaLR(
                self._torch_optimizer, lambda done: share(self.sampler.done + done + 1)
            )
            self._created_lr_scheduler = True
        return self.lr_scheduler

    @property
    def _torch_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer without accelerate's wrapper."""
        wrapped: Any = self.optimizer
        optimizer: torch.optim.Optimizer = getattr(wrapped, "optimizer", wrapped)
        return optimizer

    def _prepare_for_training(self, *given: Any, **named: Any) -> Any:
        prepared = super()._prepare_for_training(*given, **named)  # type: ignore[no-untyped-call]
        if self.sampler.done:
            # After accelerate has wrapped the optimizer, which moves AdamW's step numbers to the GPU.
            checkpoint.load_checkpoint(self.path, self.trainee, self._torch_optimizer, self.sampler.done)
        return prepared

    def _clip_grad_norm(self, model: Any) -> float:
        """Cuts the gradient to the longest allowed; returns its length before. Raises UserError if it is no number."""
        norm = clip_grad_norm_(list(self.trainee.parameters.values()), self.spec.clip)
        length = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
        if not (math.isfinite(length) and math.isfinite(float(self._tr_loss))):
            raise UserError(
                f"The loss is not a number any more at step {self.state.global_step + 1} (loss {float(self._tr_loss)}, "
                f"gradient {length}). Start again with a learning rate below {self.spec.learning_rate:g}."
            )
        return length

    # How it is measured, and what is kept

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Measures the model on the rows kept back; the verdict hears of it through `on_evaluate`."""
        validation = self.examine(self.state.global_step)
        measures = {} if validation is None else {f"eval_{name}": x for name, x in asdict(validation).items()}
        if validation is not None:
            self.log(dict(measures))
            self.verdict.judge(validation)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, measures)
        return measures

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As transformers logs; trl would add token counts of its own collator."""
        super(SFTTrainer, self).log(logs, start_time)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Weights, optimizer and step without pickle; all else follows from the step's number."""
        self.verdict.keep_if_last()
        is_main = self.accelerator.is_main_process
        checkpoint.save_checkpoint(
            self.path, self.trainee, self._torch_optimizer, self.verdict.state, is_main=is_main
        )

    # From the first step that is left to the last

    def finish(self) -> bool:
        """Takes every step that is left; false if it was asked to stop before the last."""
        self.verdict.listen()
        if not self.verdict.ended:
            self.train()
        if self.verdict.stopped:
            self.verdict.say(
                f"stopped after step {self.verdict.state.step}; --training {self.path.name} goes on from here"
            )
        return not self.verdict.stopped


def arguments_of(path: Path, spec: TrainingSpec, n_steps: int, *, starts: bool) -> SFTConfig:
    """The settings of `spec` in the words of trl; all else of trl's that would act is off."""
    return SFTConfig(
        output_dir=str(path),
        max_steps=n_steps,
        per_device_train_batch_size=spec.batch_size,
        learning_rate=spec.learning_rate,
        weight_decay=spec.weight_decay,
        max_grad_norm=spec.clip,
        optim=OPTIMIZERS[spec.optimizer],
        seed=spec.seed,
        eval_on_start=starts,
        logging_steps=1,
        logging_nan_inf_filter=False,  # it would replace a loss that is no number by the mean of earlier ones
        save_strategy="no",  # the verdict says when
        report_to=spec.report_to,
        run_name=path.name,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
        bf16=False,  # `autocast` in training/model.py
        gradient_checkpointing=False,  # `open_trainee` turns it on
        use_cpu=not torch.cuda.is_available(),
        ddp_find_unused_parameters=False,
        ddp_broadcast_buffers=False,
        ddp_timeout=WAITING,
        dataloader_pin_memory=False,
    )


def learning_rate_of(spec: TrainingSpec, n_steps: int) -> Callable[[int], float]:
    """The share of the highest learning rate at each step from 1.

    Up in a line over the warm-up, then by the schedule to nothing, or constant.
    """
    n_warm = max(round(spec.warmup * n_steps), 1) if spec.warmup else 0

    def share(step: int) -> float:
        if step <= n_warm:
            return step / n_warm
        done = (step - n_warm - 1) / max(n_steps - n_warm, 1)
        falling = {"cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done, "constant": 1.0}
        return falling[spec.schedule]

    return share
