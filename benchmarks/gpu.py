"""The engine on an NVIDIA GPU, in the shapes of the released models, with random weights: no network is needed.

    python -m benchmarks.gpu [--people 64] [--tiny]

Prints prompts a second for one and for five outcomes a person, the share of the measured bf16 matrix-product rate,
peak memory, and the same prompts through transformers' generate in batches. `--tiny` runs small shapes on whatever
device there is, to see that the script works.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from socrates_core.models.local.engine import Engine
from socrates_core.models.local.load import LocalModel
from socrates_core.models.local.network import Network
from socrates_core.records import Loaded
from socrates_core.scoring.plan import Item, plan_batches
from socrates_core.scoring.tree import AnswerTree, Vocabulary, build_tree

SHAPES = {
    "Llama-3-8B": (
        "llama",
        {
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "vocab_size": 128256,
            "rope_theta": 500000.0,
        },
    ),
    "Qwen2.5-14B": (
        "qwen2",
        {
            "hidden_size": 5120,
            "intermediate_size": 13824,
            "num_hidden_layers": 48,
            "num_attention_heads": 40,
            "num_key_value_heads": 8,
            "vocab_size": 152064,
            "rope_theta": 1000000.0,
        },
    ),
}
TINY = {
    "tiny Llama": (
        "llama",
        {
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "vocab_size": 2000,
        },
    )
}
N_SYSTEM, N_PROFILE, N_STIMULUS = 40, 140, 120  # tokens of a prompt: about 300
N_BATCH = 64
PRECISIONS: tuple[Loaded, ...] = ("bf16", "nf4")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--people", type=int, default=64)
    arguments.add_argument("--tiny", action="store_true", help="small shapes, to try the script")
    chosen = arguments.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not chosen.tiny:
        raise SystemExit("No CUDA device is there. Use --tiny to try the script on this processor.")
    print(
        f"{torch.cuda.get_device_name() if device.type == 'cuda' else 'processor'}; torch {torch.__version__}"
    )
    peak = matrix_rate(device, 4096 if device.type == "cuda" else 512)
    print(f"bf16 matrix products: {peak / 1e12:.1f} TFLOP/s")
    print(f"{'':20}{'1 outcome/s':>13}{'5 outcomes/s':>14}{'share of peak':>15}{'generate/s':>12}{'GB':>7}")
    for name, (kind, shape) in (TINY if chosen.tiny else SHAPES).items():
        for precision in PRECISIONS if device.type == "cuda" else PRECISIONS[:1]:
            measure(
                name,
                kind,
                shape=dict(shape),
                precision=precision,
                device=device,
                n_people=chosen.people,
                peak=peak,
            )


def measure(
    name: str,
    kind: str,
    *,
    shape: dict[str, float],
    precision: Loaded,
    device: torch.device,
    n_people: int,
    peak: float,
) -> None:
    """One row of the table."""
    config = AutoConfig.for_model(kind, **shape, max_position_embeddings=4096)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
    n_parameters = sum(weight.numel() for weight in model.parameters())
    if precision == "nf4":
        quantise(model, device)
    generated = rate(lambda: generate(model, make_items(n_people, 1, shape), device), n_people)
    network = Network(LocalModel(model, precision, device, n_parameters))
    engine = Engine(network, Vocabulary(np.arange(10), np.array([11])), "exact", shared=True)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    rates, tokens = [], 0
    for n_outcomes in (1, 5):
        items = make_items(n_people, n_outcomes, shape)
        batches = plan_batches(items, token_budget=16384)
        tokens = tokens or sum(engine.lay_out(batch).tokens.size for batch in batches)
        rates.append(rate(lambda: [engine.distributions(batch) for batch in batches], len(items)))  # noqa: B023
    decoder = n_parameters - 2 * int(shape["vocab_size"] * shape["hidden_size"])
    share = 2 * decoder * tokens / n_people * rates[0] / peak
    memory = torch.cuda.max_memory_allocated() / 1e9 if device.type == "cuda" else 0.0
    print(
        f"{name + ' ' + precision:20}{rates[0]:13.1f}{rates[1]:14.1f}{share:15.0%}{generated:12.1f}{memory:7.1f}"
    )
    if device.type == "cuda":
        torch.cuda.empty_cache()


def make_items(n_people: int, n_outcomes: int, shape: dict[str, float]) -> list[Item]:
    """Random prompts of a real build: the system text of all, a person's profile, an outcome's stimulus."""
    drawn = np.random.default_rng(0)
    length = int(shape["vocab_size"])
    system, *stimuli = (drawn.integers(20, length, n) for n in (N_SYSTEM, *[N_STIMULUS] * n_outcomes))
    tree = seven_options()
    profiles = [drawn.integers(20, length, N_PROFILE) for _ in range(n_people)]
    return [
        Item(np.concatenate([system, profile, stimulus]).astype(np.int32), tree, (0,))
        for profile in profiles
        for stimulus in stimuli
    ]


def seven_options() -> AnswerTree:
    return build_tree([str(value) for value in range(1, 8)], [[value] for value in range(1, 8)])


def generate(model: Any, items: list[Item], device: torch.device) -> None:
    """Two sampled tokens a prompt, in batches without any padding, which is the best case."""
    for start in range(0, len(items), N_BATCH):
        rows = (
            torch.from_numpy(np.stack([each.prompt for each in items[start : start + N_BATCH]]))
            .long()
            .to(device)
        )
        with torch.inference_mode():
            model.generate(
                rows, attention_mask=torch.ones_like(rows), do_sample=True, max_new_tokens=2, pad_token_id=0
            )


def quantise(model: torch.nn.Module, device: torch.device) -> None:
    """Every linear layer but the last in NF4, as loading with precision 'nf4' does."""
    import bitsandbytes as bnb

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear) and name != "lm_head":
                packed = bnb.nn.Linear4bit(  # type: ignore[no-untyped-call]  # bitsandbytes leaves it without types
                    child.in_features,
                    child.out_features,
                    child.bias is not None,
                    compute_dtype=torch.bfloat16,
                    quant_type="nf4",
                )
                packed.weight = bnb.nn.Params4bit(
                    child.weight.data.cpu(), requires_grad=False, quant_type="nf4"
                )
                packed.bias = child.bias
                setattr(parent, name, packed.to(device))


def rate(work: Callable[[], object], n: int) -> float:
    """Prompts a second: the median of five after one that does not count."""
    seconds = []
    for _ in range(6):
        begun = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begun)
    return float(n / np.median(seconds[1:]))


def matrix_rate(device: torch.device, size: int) -> float:
    """Floating point operations a second of a square bf16 product."""
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device=device) for _ in range(2))
    return rate(lambda: [a @ b for _ in range(20)], 1) * 20 * 2 * size**3


if __name__ == "__main__":
    main()
