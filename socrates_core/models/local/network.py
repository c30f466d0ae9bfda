"""One model in memory, at most one at a time: the forward pass that all responders over it share."""

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from socrates_core.errors import UserError
from socrates_core.models.local.adapters import Adapter, Adapters
from socrates_core.models.local.budget import TokenBudget, most_reads
from socrates_core.models.local.load import LocalModel, give_back_memory, load_model
from socrates_core.models.local.tree_attention import (
    FOREST,
    Kind,
    blocks_agree,
    choose_kind,
    open_forest,
    padded_length,
)
from socrates_core.records import Decoding, Loaded, Precision
from socrates_core.scoring.plan import MAX_READS, Layout, rounded

READS = 16  # reads of a batch are rounded up to multiples, as its tokens are (tree_attention.padded_length)
# Architectures that are proved to take a forest's attention and positions; others get plain causal rows.
PACKED = {"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "smollm3"}


class Network:
    """A causal language model on its device, with the adapters that were opened over it.

    `packed` is true if it takes a forest of prompts in one row, whose attention is of the kind `attention`.
    """

    def __init__(self, loaded: LocalModel, attention: Kind | None = None) -> None:
        """The kind of attention is the device's, unless `attention` names one."""
        self.model, self.device = loaded.model, loaded.device
        self.precision: Loaded = loaded.precision
        self.packed = self.model.config.model_type in PACKED
        self.attention: Kind = attention or choose_kind(self.device)
        self._tried: set[bool] = set()  # without and with gradients
        self.budget = TokenBudget(loaded.n_parameters, self.device)
        self._adapters = Adapters(self.model)
        self._usual_attention = self.model.config._attn_implementation
        if self.packed:
            self.model.set_attn_implementation(FOREST)
        self._wanted: tuple[torch.Tensor, torch.Tensor] | None = None
        self.model.get_output_embeddings().register_forward_pre_hook(self._keep_wanted)

    def use(self, adapter: Adapter | None) -> None:
        """Switches to the model with that LoRA adapter, or without any. The model's own weights stay.

        Raises UserError if the adapter does not fit. The model may be partly changed then, as after any other error or
        a stop in the middle, so it is closed.
        """
        try:
            self._adapters.use(adapter)
        except BaseException:
            close_network()
            raise

    @property
    def adapter_precision(self) -> str:
        """The number format in which adapters answer, as their cards have it: "bf16" or "fp16", empty for fp32."""
        return {torch.bfloat16: "bf16", torch.float16: "fp16"}.get(self._adapters.dtype, "")

    def logits(self, layout: Layout) -> torch.Tensor:
        """Next-token logits [N, V] in fp32 at the N places that the layout reads."""
        n_reads = len(layout.read_row)
        options: dict[str, Any] = {}
        if self.packed:
            kind = self._kind()
            length = padded_length(layout.tokens.shape[1], kind)
            layout = rounded(layout, tokens=length, reads=READS)
            forest = open_forest(layout, self.device, kind)
            options = {"position_ids": forest.depth, "forest": forest}
        self._wanted = self.tensor(layout.read_row), self.tensor(layout.read_column)
        try:
            output = self.model(input_ids=self.tensor(layout.tokens), use_cache=False, **options)
        finally:
            # `plain_attention` runs the same model, which must not be cut to these positions.
            self._wanted = None
        # After every batch: it costs about 1% of the time, and memory no longer grows with a job (docs/log.md).
        if self.device.type == "cpu":
            give_back_memory()
        logits: torch.Tensor = output.logits[0, :n_reads].float()
        if self.precision == "fp16" and not bool(torch.isfinite(logits).all()):
            raise UserError(
                "The model's numbers are too large for fp16, which is what this graphics card computes in. Choose "
                "precision 'fp32', or a card with bf16 (compute capability 8.0 or more)."
            )
        return logits

    def most_reads(self, decoding: Decoding) -> int:
        """How many next-token distributions may be held at once: on a card, what its free memory holds."""
        if self.device.type != "cuda":
            return MAX_READS
        unused = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        free = torch.cuda.mem_get_info(self.device)[0] + unused
        return most_reads(decoding, vocabulary=self.model.config.get_text_config().vocab_size, free=free)

    @contextmanager
    def plain_attention(self) -> Iterator[Any]:
        """The model with transformers' own attention, as generation with a cache needs it."""
        if self.packed:
            self.model.set_attn_implementation(self._usual_attention)
        try:
            yield self.model
        finally:
            if self.packed:
                self.model.set_attn_implementation(FOREST)

    def _kind(self) -> Kind:
        """The attention's kind: blocks only after a trial on this device, with gradients where they are needed."""
        gradients = torch.is_grad_enabled()
        if self.attention == "blocks" and gradients not in self._tried:
            config = self.model.config.get_text_config()
            # Outside autocast, which would compare other products than a plain forward pass makes.
            with torch.autocast(self.device.type, enabled=False):
                agree = blocks_agree(config, self.model.dtype, self.device)
            if not agree:
                logging.getLogger(__name__).warning(
                    "Flex attention does not work on this card, so attention runs in tiles, which are slower."
                )
                self.attention = "tiles"
            self._tried.add(gradients)
        return self.attention

    def tensor(self, values: Any) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device)

    def _keep_wanted(self, _module: Any, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
        """Gives the output layer only the hidden states [1, N, H] of the wanted positions.

        The logits of a whole batch then never exist, and an architecture can still do to its logits what it does.
        """
        return None if self._wanted is None else (inputs[0][self._wanted][None],)


_open: dict[tuple[Path, str, Precision], Network] = {}


def open_network(path: Path, revision: str, precision: Precision) -> Network:
    """The model in `path`; any other open model is closed first, so that two never need memory together.

    Raises UserError if the model is damaged or does not fit.
    """
    key = (path, revision, precision)
    if key not in _open:
        close_network()
        _open[key] = Network(load_model(path, precision))
    return _open[key]


def close_network() -> None:
    """Closes the open model, for example before training."""
    _open.clear()
    gc.collect()  # the model's hook refers back to its network, a cycle that only the collector frees
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
