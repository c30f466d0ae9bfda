"""The project on an NVIDIA card from 16 GB, in the shapes of the released models: at most ten minutes, no network.

    python -m benchmarks.gpu [--only card forest read train] [--out FILE] [--minutes 10] [--tiny]

Weights and prompts are random, which changes no speed. Every result is a line of FILE as soon as it is there, so the
command goes on where it was stopped; delete FILE to begin again. Rows that need more memory than is free are named and
left out. The table compares speed with predictions from a roofline (assumed, see docs/log.md) and memory with what the
product estimates. `--tiny` runs every part with tiny networks on whatever device there is, to see that it works.

Parts: `card` measures matrix products; `forest` compares all kinds of attention and their gradients; `read` answers
prompts in every precision, with and without an adapter; `train` takes ten QLoRA steps here and in trl's SFTTrainer.
"""

import argparse
import gc
import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import psutil
import torch
from transformers import AutoConfig

from benchmarks.random_model import random_model, shapes_of, size_of
from benchmarks.shapes import SHAPES, TINY, Scale, make_items
from socrates_core.finetuning.estimate import training_bytes
from socrates_core.finetuning.examples import Example
from socrates_core.finetuning.spec import TrainingSpec, spec_from_dict
from socrates_core.models.local.adapters import convert_adapter
from socrates_core.models.local.forest_reader import ForestReader
from socrates_core.models.local.load import LocalModel, is_out_of_memory
from socrates_core.models.local.network import Network
from socrates_core.models.local.tree_attention import TILE, blocks_agree, choose_kind
from socrates_core.records import Loaded
from socrates_core.scoring.plan import plan_batches
from socrates_core.scoring.tree import Vocabulary

Part = Literal["card", "forest", "read", "train"]
Attention = Literal["blocks", "tiles", "unshared"]
PARTS: tuple[Part, ...] = ("card", "forest", "read", "train")
OUT = Path("gpu_results.jsonl")
WORKLOADS: dict[str, tuple[int, Scale]] = {"1-7": (1, "1-7"), "0-100": (1, "0-100"), "person x 5": (5, "1-7")}
BUDGET = 16384  # tokens of a batch
EXAMPLES, MICRO = 12, 2048  # examples of a training step, and tokens that are read at a time
RANK = 16
VOCABULARY = Vocabulary(np.arange(10), np.array([11]))
# Prompt tokens a second by a roofline: counted work at assumed rates (H100 650 TFLOP/s and 2.7 TB/s, RTX 4090 150 and
# .9). Nothing was measured. Real runs are expected 10 to 25% lower.
PREDICTED = {
    "H100": {
        "read Llama-3-8B bf16 blocks": 33_000,
        "read Llama-3-8B bf16 tiles": 27_700,
        "read Qwen2.5-14B bf16 blocks": 17_500,
        "train Llama-3-8B ours": 7_880,
        "train Qwen2.5-14B ours": 3_240,
    },
    "4090": {
        "read Llama-3-8B bf16 blocks": 8_370,
        "read Llama-3-8B bf16 tiles": 7_550,
        "read Qwen2.5-14B nf4 blocks": 4_270,
        "train Llama-3-8B ours": 2_150,
        "train Qwen2.5-14B ours": 920,
    },
}


@dataclass
class Result:
    """One row: what was measured, or why it was left out. Rates are per second, memory is in bytes."""

    row: str
    skipped: str = ""
    tokens: float = 0.0
    prompts: dict[str, float] = field(default_factory=dict)
    share_of_peak: float = 0.0
    peak_bytes: float = 0.0
    estimated_bytes: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Bench:
    """Where and how large everything runs."""

    device: torch.device
    models: dict[str, tuple[str, dict[str, Any]]]
    n_people: int
    n_steps: int  # of training
    ends: float  # when no new row begins
    rate: float = 0.0  # floating point operations a second, once they are measured

    @property
    def free(self) -> float:
        """Bytes that are free."""
        gc.collect()  # a network and its model refer to each other
        if self.device.type != "cuda":
            return float(psutil.virtual_memory().available)
        torch.cuda.empty_cache()
        return float(torch.cuda.mem_get_info()[0])


def main() -> None:
    chosen = parsed()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu" and not chosen.tiny:
        raise SystemExit(
            "There is no NVIDIA card that torch can use. Add --tiny to try the script on this processor."
        )
    known = read_results(chosen.out)
    bench = Bench(
        device,
        TINY if chosen.tiny else SHAPES,
        n_people=4 if chosen.tiny else 64,
        n_steps=4 if chosen.tiny else 10,
        ends=time.monotonic() + 60 * chosen.minutes,
    )
    bench = replace(bench, rate=rate_of(bench, known, chosen.out))
    # On a processor torch would compile blocks for half a minute, with a compiler that may not be there.
    stance = nullcontext() if device.type == "cuda" else torch.compiler.set_stance("force_eager")
    with stance:
        measure(bench, chosen, known)
    print(table(read_results(chosen.out)))


def measure(bench: Bench, chosen: argparse.Namespace, known: dict[str, Result]) -> None:
    """Measures the rows that are not known yet, as long as there is time."""
    for row, work in rows(bench, chosen.only):
        if row in known:
            continue
        if time.monotonic() > bench.ends:
            print(f"{row}: not reached in {chosen.minutes} minutes; run the command again to go on.")
            break
        keep(chosen.out, run_row(row, work, bench))


def parsed() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    arguments.add_argument("--out", type=Path, default=OUT, help=f"where results are kept ({OUT})")
    arguments.add_argument("--minutes", type=float, default=10.0, help="no row begins after so many minutes")
    arguments.add_argument("--tiny", action="store_true", help="tiny networks, to try the script")
    return arguments.parse_args()


def rows(bench: Bench, parts: list[Part]) -> Iterator[tuple[str, Callable[[str], Result]]]:
    """Every row with the work that measures it."""
    if "forest" in parts:
        yield "forest", partial(compare_attention, bench)
    for name, (kind, shape) in bench.models.items():
        if "read" in parts:
            for precision, adapter, attention in ways(bench, name):
                yield (
                    f"read {name} {precision}{' adapter' if adapter else ''} {attention}",
                    partial(
                        read, bench, kind, shape, precision=precision, adapter=adapter, attention=attention
                    ),
                )
        if "train" in parts:
            for trainer in ("ours", "trl"):
                yield f"train {name} {trainer}", partial(train, bench, kind, shape, by_trl=trainer == "trl")


def ways(bench: Bench, name: str) -> list[tuple[Loaded, bool, Attention]]:
    """Precision, adapter, attention: all of them in the most exact precision that fits, less in the others."""
    kind, shape = bench.models[name]
    size, free = size_of(kind, shape), bench.free
    # On a processor, packed weights are only slow.
    precisions: tuple[Loaded, ...] = ("bf16", "int8", "nf4") if bench.device.type == "cuda" else ("bf16",)
    fitting = [precision for precision in precisions if size.bytes_needed(precision) <= free]
    best: Attention = "blocks" if choose_kind(bench.device) == "blocks" else "tiles"
    others: tuple[Attention, ...] = ("tiles", "unshared") if best == "blocks" else ("unshared",)
    chosen: list[tuple[Loaded, bool, Attention]] = []
    for precision in precisions:
        chosen += [(precision, False, best), (precision, True, best)]
        if fitting[:1] == [precision]:
            chosen += [(precision, False, attention) for attention in others]
    return chosen


def run_row(row: str, work: Callable[[str], Result], bench: Bench) -> Result:
    """The row's result; memory that runs out leaves it out."""
    print(row, flush=True)
    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    try:
        result = work(row)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return Result(row, "memory ran out")
    if bench.device.type == "cuda" and not result.skipped:
        result.peak_bytes = float(torch.cuda.max_memory_allocated())
    return result


def rate_of(bench: Bench, known: dict[str, Result], out: Path) -> float:
    """Operations a second of a square bf16 product on this card, measured once."""
    about = f"{device_name(bench.device)}; torch {torch.__version__}; {bench.free / 1e9:.1f} GB free"
    if "card" not in known:
        size = 8192 if bench.device.type == "cuda" else 256
        one, other = (torch.randn(size, size, dtype=torch.bfloat16, device=bench.device) for _ in range(2))
        seconds = median_seconds(lambda: [one @ other for _ in range(20)], bench.device)
        keep(out, known.setdefault("card", Result("card", tokens=20 * 2 * size**3 / seconds, note=about)))
    return known["card"].tokens


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name() if device.type == "cuda" else f"processor, {platform.machine()}"


def compare_attention(bench: Bench, row: str) -> Result:
    """Tiles, blocks and plain rows read the same trees; blocks have the gradients of tiles in the true shapes."""
    kind, shape = next(iter(TINY.values()))
    items = make_items(6, 3, shape, "0-100")
    readings = {}
    for attention in ("tiles", "blocks", "unshared"):
        network = network_of(random_model(kind, shape, "fp32", bench.device), "fp32", bench.device, attention)
        reader = ForestReader(
            partial(_same, network), VOCABULARY, shared=attention != "unshared", budget=BUDGET
        )
        by_place = {place: one.steps for batch in reader.read(items) for place, one in batch.items()}
        readings[network.attention if network.packed else attention] = np.concatenate(
            [by_place[place] for place in range(len(items))]
        )
    plain = readings["unshared"]
    notes = [
        f"{name} and plain rows differ by {np.abs(found - plain).max():.0e}"
        for name, found in readings.items()
        if name != "unshared"
    ]
    if "blocks" not in readings:
        notes.append("blocks do not run here")
    for name, (kind, shape) in bench.models.items():
        config = AutoConfig.for_model(kind, **shape)
        for gradients in (False, True):
            with torch.set_grad_enabled(gradients):
                agree = blocks_agree(config, torch.bfloat16, bench.device)
            what = "gradients" if gradients else "values"
            notes.append(f"{name}: {what} of blocks {'agree' if agree else 'do not agree, or do not run'}")
    return Result(row, note="; ".join(notes))


def read(
    bench: Bench,
    kind: str,
    shape: dict[str, Any],
    row: str,
    *,
    precision: Loaded,
    adapter: bool,
    attention: Attention,
) -> Result:
    """Prompts and tokens a second of one model."""
    size = size_of(kind, shape)
    result = Result(row, estimated_bytes=size.bytes_needed(precision))
    if not fits(result, bench):
        return result
    model = random_model(kind, shape, precision, bench.device)
    if adapter:
        dtype = model.dtype
        convert_adapter(with_adapter(model).eval(), "default", dtype)
    network = network_of(model, precision, bench.device, attention)
    reader = ForestReader(partial(_same, network), VOCABULARY, shared=attention != "unshared", budget=BUDGET)
    for workload, (n_outcomes, scale) in WORKLOADS.items():
        items = make_items(bench.n_people, n_outcomes, shape, scale)
        seconds = median_seconds(lambda: list(reader.read(items)), bench.device)  # noqa: B023
        result.prompts[workload] = len(items) / seconds
        if workload == "1-7":
            shared = attention != "unshared"
            batches = plan_batches(items, token_budget=BUDGET, shared=shared)
            result.tokens = sum(reader.lay_out(batch, network).tokens.size for batch in batches) / seconds
            # Two operations a weight and token (Kaplan et al. 2020).
            result.share_of_peak = 2 * size.n_linear * result.tokens / bench.rate
    if network.attention == "tiles" and attention == "blocks":
        result.note = "blocks did not run, so these are tiles"
    return result


def train(bench: Bench, kind: str, shape: dict[str, Any], row: str, *, by_trl: bool) -> Result:
    """Tokens a second of ten steps (four if tiny), the first two aside: QLoRA on a card, LoRA on a processor."""
    on_card = bench.device.type == "cuda"
    settings = {
        "name": "bench",
        "split": "bench",
        "tuning": "qlora" if on_card else "lora",
        "precision": "bf16",
        "checkpointing": True,
        "batch_size": EXAMPLES,
        "micro_tokens": MICRO,
        "rank": RANK,
    }
    spec = spec_from_dict(settings, "the benchmark")
    examples = [
        Example(item.prompt, ((3, 11),), np.ones(1), 1.0, place, place)
        for place, item in enumerate(make_items(EXAMPLES, 1, shape))
    ]
    result = Result(row, estimated_bytes=needed_to_train(bench, kind, shape, spec))
    if not fits(result, bench):
        return result
    model = random_model(kind, shape, "nf4" if on_card else "bf16", bench.device)
    tuned = with_adapter(model)
    steps = steps_of_trl if by_trl else steps_of_ours
    seconds, losses = steps(bench, model, tuned, spec, examples)
    result.tokens = sum(example.n_tokens for example in examples) / float(np.median(seconds[2:]))
    result.note = f"loss {losses[0]:.3f}, then {losses[-1]:.3f}"
    return result


def steps_of_ours(
    bench: Bench, model: Any, tuned: Any, spec: TrainingSpec, examples: list[Example]
) -> tuple[list[float], list[float]]:
    """Seconds and mean loss a token of each step, through the project's own batches and loss."""
    from training.batches import batches_of
    from training.model import Trainee, autocast
    from training.sft import loss

    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    network = network_of(model, "nf4" if spec.tuning == "qlora" else "bf16", bench.device, None)
    network.model = tuned.train()
    # Its folder is read only when it is saved.
    trainee = Trainee(spec, None, network, tuned)  # type: ignore[arg-type]
    trained = list(trainee.parameters.values())
    optimizer = torch.optim.AdamW(trained, lr=spec.learning_rate)
    seconds, losses = [], []
    for _ in range(bench.n_steps):
        begun = time.perf_counter()
        total = 0.0
        for batch in batches_of(examples, network, spec):
            with autocast(trainee):
                part = loss(trainee, batch)
                part.backward()
            total += float(part.detach())
        for weight in trained:
            if weight.grad is not None:
                weight.grad /= len(examples)
        optimizer.step()
        optimizer.zero_grad()
        wait(bench.device)
        seconds.append(time.perf_counter() - begun)
        losses.append(total / sum(len(example.answers[0]) for example in examples))
    return seconds, losses


def steps_of_trl(
    bench: Bench, _model: Any, tuned: Any, spec: TrainingSpec, examples: list[Example]
) -> tuple[list[float], list[float]]:
    """Seconds and mean loss a token of each step of trl's SFTTrainer, without padding."""
    from datasets import Dataset
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast, TrainerCallback
    from trl import SFTConfig, SFTTrainer

    data = [
        {
            "input_ids": [*example.prompt.tolist(), *example.answers[0]],
            "completion_mask": [0] * len(example.prompt) + [1] * len(example.answers[0]),
        }
        for example in examples
    ]
    moments: list[float] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            moments.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            wait(bench.device)
            moments.append(time.perf_counter())

    at_once = max(1, MICRO // examples[0].n_tokens)
    with TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            tuned,
            SFTConfig(
                output_dir=folder,
                per_device_train_batch_size=at_once,
                gradient_accumulation_steps=len(examples) // at_once,
                max_steps=bench.n_steps,
                logging_steps=1,
                learning_rate=spec.learning_rate,
                lr_scheduler_type="constant",
                completion_only_loss=True,
                padding_free=True,
                max_length=None,
                gradient_checkpointing=spec.checkpointing,
                gradient_checkpointing_kwargs={"use_reentrant": False},
                save_strategy="no",
                report_to=[],
                disable_tqdm=True,
                use_cpu=bench.device.type != "cuda",
                bf16=True,
            ),
            train_dataset=Dataset.from_list(data * bench.n_steps),
            callbacks=[Clock()],
            processing_class=PreTrainedTokenizerFast(
                tokenizer_object=Tokenizer(WordLevel({"<end>": 0}, "<end>")),
                eos_token="<end>",
                pad_token="<end>",
            ),
        )
        trainer.train()
    losses = [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]
    return [stop - start for start, stop in zip(moments[::2], moments[1::2], strict=True)], losses


def network_of(model: Any, precision: Loaded, device: torch.device, attention: Attention | None) -> Network:
    """The network that answers; "unshared" reads every prompt in a padded row, through torch's own attention."""
    n_parameters = sum(weight.numel() for weight in model.parameters())
    kind = None if attention == "unshared" else attention
    network = Network(LocalModel(model, precision, device, n_parameters), kind)
    if attention == "unshared":
        network.packed = False
        model.set_attn_implementation("sdpa")
    return network


def with_adapter(model: Any) -> Any:
    """peft's view of the model with a random adapter on every linear layer."""
    from peft import LoraConfig, get_peft_model

    model.requires_grad_(False)
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, config)


def needed_to_train(bench: Bench, kind: str, shape: dict[str, Any], spec: TrainingSpec) -> float:
    """The bytes that the product tells before such a finetune."""
    columns = 0.0 if choose_kind(bench.device) == "blocks" else TILE["cuda"] + 150.0
    n_tokens = min(MICRO, 300 * EXAMPLES)
    parts = training_bytes(
        shapes_of(kind, shape),
        shape,
        spec,
        compact="bf16",
        n_tokens=n_tokens,
        n_reads=2 * n_tokens / 300,
        columns=columns,
    )
    return parts.weights + parts.activations


def fits(result: Result, bench: Bench) -> bool:
    """Whether the row has enough memory; if not, its result says so."""
    free = bench.free
    if result.estimated_bytes > free:
        result.skipped = f"needs {result.estimated_bytes / 1e9:.1f} GB, and {free / 1e9:.1f} are free"
    return not result.skipped


def median_seconds(work: Callable[[], object], device: torch.device) -> float:
    """The median of three after one that does not count."""
    seconds = []
    for _ in range(4):
        begun = time.perf_counter()
        work()
        wait(device)
        seconds.append(time.perf_counter() - begun)
    return float(np.median(seconds[1:]))


def wait(device: torch.device) -> None:
    """Waits for everything that the device was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def keep(path: Path, result: Result) -> None:
    """Writes the result at the end of the file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(result)) + "\n")


def read_results(path: Path) -> dict[str, Result]:
    """The results so far, by row; a line that was cut off is measured again."""
    if not path.exists():
        return {}
    results = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            result = Result(**json.loads(line))
            results[result.row] = result
    return results


def table(results: dict[str, Result]) -> str:
    """All results in Markdown, next to what was predicted for this card."""
    card = results["card"]
    predicted = next((rates for name, rates in PREDICTED.items() if name in card.note), {})
    lines = [
        f"{card.note}; bf16 products: {card.tokens / 1e12:.2f} TFLOP/s",
        "",
        "| row | tokens/s | predicted | of peak | 1-7 | 0-100 | person x 5 | GB | estimated | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row, result in results.items():
        if row == "card":
            continue
        rates = [
            f"{result.prompts[workload]:.1f}" if workload in result.prompts else "" for workload in WORKLOADS
        ]
        cells = [
            row,
            f"{result.tokens:,.0f}" if result.tokens else "",
            f"{predicted[row]:,.0f}" if row in predicted else "",
            f"{result.share_of_peak:.0%}" if result.share_of_peak else "",
            *rates,
            f"{result.peak_bytes / 1e9:.1f}" if result.peak_bytes else "",
            f"{result.estimated_bytes / 1e9:.1f}" if result.estimated_bytes else "",
            result.skipped or result.note,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _same(network: Network) -> Network:
    return network


if __name__ == "__main__":
    main()
