"""What is trained: a new or continued adapter over a base model, in 4 bits or not, or all of the model's weights."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from socrates_core.errors import UserError
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.models.local.adapters import attach
from socrates_core.models.local.load import has_bf16, load_model
from socrates_core.models.local.network import Network
from socrates_core.models.model_folder import ModelFolder, check_folder, open_folder

GRADIENT_TOLERANCE = 0.01  # relative; rounding to bf16 costs 0.0025, a wrong kernel 0.014 and more
REFERENCE = "reference"


@dataclass
class Trainee:
    """A model in training: `network` reads batches, `model` is peft's view of it, or the model itself."""

    spec: TrainingSpec
    folder: ModelFolder
    network: Network
    model: Any
    sharded: bool = False  # over all processes

    @property
    def parameters(self) -> dict[str, torch.nn.Parameter]:
        """The weights that are trained, by name."""
        return {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}

    @contextmanager
    def as_reference(self) -> Iterator[None]:
        """The model as it was before training, without dropout: with no adapter, or with the one it started from."""
        self.model.eval()
        if self.folder.adapter is None:
            with self.model.disable_adapter():
                yield
        else:
            # peft makes the adapter that it activates trainable, which the `finally` undoes.
            self.model.set_adapter(REFERENCE)
            try:
                yield
            finally:
                self.model.set_adapter("default")
                _train_only_default(self.model)
        self.model.train()

    def save(self, path: Path, *, is_main: bool = True) -> None:
        """Writes the adapter, or the whole model, as safetensors. Every process calls it; the main one writes."""
        weights = None
        if self.sharded:
            named = [*self.model.named_parameters(), *self.model.named_buffers()]
            stored = self.model.state_dict()
            weights = whole_tensors({name: value for name, value in named if name in stored}, keep=is_main)
        if not is_main:
            return
        if self.spec.tuning == "full":
            self.model.save_pretrained(path, state_dict=weights, safe_serialization=True)
        else:
            # By default peft may ask the hub for the base's configuration, to see whether its vocabulary changed.
            self.model.save_pretrained(
                path, safe_serialization=True, selected_adapters=["default"], save_embedding_layers=False
            )

    def shard(self) -> None:
        """Spreads weights, and with them gradients and optimizer, over all processes (FSDP, Zhao et al. 2023).

        Each layer's weights are gathered for the moment in which it computes. Every process must then run the model
        equally often, also where it has less to read.
        """
        from torch.distributed.fsdp import fully_shard

        layers = set(self.model._no_split_modules or ())
        for module in self.model.modules():
            if type(module).__name__ in layers:
                fully_shard(module)
        fully_shard(self.model)
        self.sharded = True

    def reshard(self) -> None:
        """Frees what a forward pass without a backward pass left gathered, so that `parameters` are the parts again."""
        if self.sharded:
            for module in self.model.modules():
                if hasattr(module, "reshard"):
                    module.reshard()


def whole_tensors(tensors: Mapping[str, torch.Tensor], *, keep: bool) -> dict[str, torch.Tensor]:
    """The tensors on the processor, gathered from all processes where they are sharded; nothing without `keep`.

    Every process takes part, one tensor at a time, so only a process that keeps them needs memory for all.
    """
    from torch.distributed.tensor import DTensor

    gathered = {}
    for name, value in tensors.items():
        whole = value.detach()
        whole = whole.full_tensor() if isinstance(whole, DTensor) else whole
        if keep:
            gathered[name] = whole.cpu().contiguous()
    return gathered


def open_trainee(spec: TrainingSpec) -> Trainee:
    """The base model of `spec`, ready to be trained.

    Raises UserError if it is missing, does not fit, or cannot be trained correctly in 4 bits on this machine.
    """
    folder = open_folder(spec.base)
    check_folder(folder.base)
    precision = {"qlora": "nf4", "full": "fp32"}.get(spec.tuning, spec.precision)
    loaded = load_model(folder.base, precision)  # type: ignore[arg-type]
    if loaded.precision == "nf4" and spec.tuning == "lora":
        raise UserError(
            f"The model {spec.base!r} does not fit in this machine's memory in 16 bits. Choose tuning 'qlora'."
        )
    network = Network(loaded)
    if spec.tuning == "full":
        loaded.model.requires_grad_(True)
        model = loaded.model
    else:
        if loaded.precision == "nf4":
            prove_four_bit(loaded.model)
        # peft draws the first matrices of a new adapter from torch's global generator.
        torch.manual_seed(spec.seed)
        model = _with_adapter(loaded.model, folder, spec)
        network.model = model
    if spec.checkpointing:
        # The reentrant kind gives no gradients if its inputs need none, as with an adapter over frozen embeddings.
        loaded.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return Trainee(spec, folder, network, model)


def _with_adapter(model: Any, folder: ModelFolder, spec: TrainingSpec) -> Any:
    from peft import LoraConfig, get_peft_model

    model.requires_grad_(False)
    if folder.adapter is None:
        config = LoraConfig(
            r=spec.rank,
            lora_alpha=spec.alpha,  # type: ignore[arg-type]  # peft declares an int, and computes with any number
            lora_dropout=spec.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        tuned: Any = get_peft_model(model, config)
        # peft would write the base's folder on this machine, which means nothing elsewhere.
        tuned.peft_config["default"].base_model_name_or_path = spec.base
        return tuned
    tuned = attach(model, folder.adapter, trainable=True)
    if spec.method == "dpo":
        attach(tuned, folder.adapter, REFERENCE)
        tuned.set_adapter("default")
        _train_only_default(tuned)
    return tuned


def _train_only_default(model: Any) -> None:
    for name, weight in model.named_parameters():
        weight.requires_grad_("lora_" in name and ".default." in name)


def prove_four_bit(model: Any) -> None:
    """Compares output and gradient of one 4-bit layer of every shape with those of its dequantised weights.

    Raises UserError for a shape whose kernels are wrong on this machine, or whose gradient is not finite.
    """
    import bitsandbytes as bnb

    layers = {name: module for name, module in model.named_modules() if isinstance(module, bnb.nn.Linear4bit)}
    for layer in layers.values():
        # Otherwise the first answer without a gradient, as in validation, packs the weights into a layout through
        # which no gradient flows, and training would continue without it.
        layer.support_avx512bf16_for_cpu = False
    proved = set()
    for name, layer in layers.items():
        if (layer.in_features, layer.out_features) in proved:
            continue
        proved.add((layer.in_features, layer.out_features))
        # Few tokens take another kernel on a card than the many that a finetune reads.
        for n_tokens in (1, 7, 64, 2048):
            error = _gradient_error(layer, n_tokens)
            # Not `error > ...`, which NaN would pass.
            if not error <= GRADIENT_TOLERANCE:
                raise UserError(
                    f"Training in 4 bits gives wrong results on this machine for layers of {layer.in_features} x "
                    f"{layer.out_features} such as {name!r}: the gradient of {n_tokens} tokens is off by {error:.1%}. "
                    "Choose tuning 'lora', or train on a GPU."
                )


def _gradient_error(layer: Any, n_tokens: int) -> float:
    """The largest relative error (or NaN) of output and input gradient, after an answer without a gradient."""
    generator = torch.Generator().manual_seed(0)
    weight = _dequantised(layer)
    dtype = layer.compute_dtype or torch.float32

    def draw(width: int) -> torch.Tensor:
        return torch.randn(1, n_tokens, width, generator=generator).to(weight.device, dtype)

    inputs = draw(layer.in_features)
    pull = draw(layer.out_features)  # the gradient that comes from above
    bias = 0 if layer.bias is None else layer.bias.float()
    expected = inputs.float() @ weight.T + bias
    with torch.no_grad():
        answered = layer(inputs)
    inputs.requires_grad_(True)
    with torch.enable_grad():
        outputs = layer(inputs)
        outputs.backward(pull.to(outputs.dtype))
    gradient = torch.full_like(inputs, torch.nan) if inputs.grad is None else inputs.grad
    pairs = ((answered, expected), (outputs.detach(), expected), (gradient, pull.float() @ weight))
    return float(torch.stack([(one.float() - other).norm() / other.norm() for one, other in pairs]).max())


def _dequantised(layer: Any) -> torch.Tensor:
    """The weights [out, in] in fp32: two codes per byte, the upper half first, times the scale of their block."""
    state = layer.weight.quant_state
    packed = layer.weight.data.view(torch.uint8).flatten()
    codes = torch.stack((packed >> 4, packed & 15), dim=1).flatten()[: state.shape.numel()].long()
    absmax = state.absmax
    if state.nested:  # the scales are packed too, as in checkpoints that others packed
        from bitsandbytes.functional import dequantize_blockwise

        absmax = dequantize_blockwise(absmax, state.state2) + state.offset
    scales = absmax.repeat_interleave(state.blocksize)[: len(codes)]
    weights: torch.Tensor = state.code[codes].float() * scales
    return weights.view(state.shape)


@contextmanager
def autocast(trainee: Trainee) -> Iterator[None]:
    """Products in bf16 if the base is in bf16 or in 4 bits, or if all weights are trained, where there is bf16.

    Trained weights stay in fp32. Without this, every adapter would convert its input to fp32 and back: on a GPU a
    QLoRA step would take about 1.17 times as long, and 6 GB more with an 8B model (estimated, not run).
    """
    from peft.helpers import disable_input_dtype_casting

    network, spec = trainee.network, trainee.spec
    fast = spec.precision != "fp32" and has_bf16(network.device)
    bf16 = {"full": fast, "lora": network.precision == "bf16", "qlora": fast}[spec.tuning]
    if not bf16:
        yield
        return
    casting = nullcontext() if spec.tuning == "full" else disable_input_dtype_casting(trainee.model)
    with torch.autocast(network.device.type, torch.bfloat16), casting:
        yield
