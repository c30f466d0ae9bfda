"""Whether averages of weights come nearer to people in held-out studies than the models that they are made of.

    python -m benchmarks.averaging --sample rows.parquet --work generalise-work   (after benchmarks.generalise)

The averages are of what finetuning added: of SFT's and of distribution training's (a model soup, Wortsman et al. 2022,
arXiv 2203.05482), and of a finetune's and nothing, which lies between it and the base (WiSE-FT, arXiv 2109.01903).
A sum of low-rank updates is a low-rank update of the summed ranks, so no average is rounded.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import torch
from safetensors.torch import load_file, save_file

from benchmarks.generalise import SEEDS, answers_file, ask, chosen, measured, prepare, split_of, wide_of
from benchmarks.heldout import answers_of, baselines, paired, table
from socrates_core import settings
from socrates_core.files import read_json, write_json

WAYS: Mapping[str, Mapping[str, float]] = {
    "soup": {"sft": 0.5, "distribution": 0.5},
    "halfway": {"distribution": 0.5},
    "beyond": {"distribution": 1.5},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--sample", type=Path, required=True, help="the rows that benchmarks.generalise was given"
    )
    parser.add_argument("--work", type=Path, default=Path("generalise-work"))
    given = parser.parse_args()
    corpus = prepare(given.work.absolute(), given.sample.absolute(), "starter")
    scores: list[pd.DataFrame] = []
    for seed in SEEDS:
        split = split_of(corpus, seed)
        asked = chosen(corpus, seed, "base")
        trained_on = answers_of(corpus, [each for each in split.studies if each not in split.held_out])
        scores += baselines(asked, trained_on, seed)
        for label, shares in WAYS.items():
            if not answers_file(label, seed).exists():
                average({f"{each}-{seed}": share for each, share in shares.items()}, f"{label}-{seed}")
                ask(asked, seed, label, f"{label}-{seed}")
        scores += [measured(asked, seed, label) for label in ("base", "sft", "distribution", *WAYS)]
    found = pd.concat(scores)
    print(table(found).round(3).to_string())
    wide = wide_of(found)
    for label in WAYS:
        for other in ("distribution", "uniform"):
            print(f"{label} against {other}: {paired(wide, label, other)}")


def average(shares: Mapping[str, float], made: str) -> None:
    """Writes the adapter `made`, whose update of every matrix is the sum of those of `shares` times their shares."""
    folder = settings.home() / "adapters"
    parts = {each: load_file(folder / each / "adapter_model.safetensors") for each in shares}
    first, *_ = shares
    summed = {}
    for name in parts[first]:
        down = ".lora_A." in name
        own = [parts[each][name] if down else parts[each][name] * share for each, share in shares.items()]
        summed[name] = torch.cat(own, dim=0 if down else 1).contiguous()
    config = read_json(folder / first / "adapter_config.json")
    for name in ("r", "lora_alpha"):  # their ratio scales the update
        config[name] *= len(shares)
    (folder / made).mkdir(exist_ok=True)
    save_file(summed, folder / made / "adapter_model.safetensors", {"format": "pt"})
    write_json(folder / made / "adapter_config.json", config)
    write_json(folder / made / "card.json", {**read_json(folder / first / "card.json"), "title": made})


if __name__ == "__main__":
    main()
