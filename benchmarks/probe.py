"""Does the base model's own reading of a question tell where people's answers lie in a study that it was not fitted on?

    python -m benchmarks.probe --sample socsci210_sample.parquet [--model starter] [--work FOLDER]

A ridge regression reads the mean answer of an outcome, in shares of its scale, from the model's hidden states at its
text: of some layers, at the last token or on average over tokens. Each study is predicted by the others, studies weigh
alike. What is found here bounds what finetuning can win beyond shapes that ignore the text; what is not found here may
still be there in a form that is not linear.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from transformers import AutoModelForCausalLM

from benchmarks.generalise import prepare
from benchmarks.heldout import OUTCOME, answers_of, choose
from socrates_core.corpus.queries import Corpus
from socrates_core.models.chat import open_chat
from socrates_core.models.model_folder import open_folder
from socrates_core.prompts import SYSTEM
from socrates_core.records import Floats, Prompt

LAYERS = (1 / 3, 2 / 3, 1.0)  # of the way through the model
STRENGTHS = (1e2, 1e3, 1e4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=Path, required=True)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--work", type=Path, default=Path("generalise-work"))
    given = parser.parse_args()
    corpus = prepare(given.work.absolute(), given.sample.absolute(), given.model)
    rows = choose(corpus, corpus.study_ids(), 0, most=1).rows
    means = mean_answers(corpus, rows)
    studies = rows["study_id"].to_numpy()
    weights = 1 / rows.groupby("study_id")["value"].transform("size").to_numpy(dtype=float)
    print(f"{len(rows)} outcomes in {len(set(studies))} studies")
    tell("always the middle", np.full(len(means), 0.5), means, weights)
    for name, read in readings(corpus, rows, given.model).items():
        for strength in STRENGTHS:
            found = left_out(read, means, studies, weights, strength)
            tell(f"{name}, ridge {strength:g}", found, means, weights)


def mean_answers(corpus: Corpus, rows: pd.DataFrame) -> Floats:
    """The mean of everybody's answers to the outcome of each row, in shares of its scale."""
    told = answers_of(corpus, corpus.study_ids()).groupby(OUTCOME, sort=False)["value"].mean()
    found = []
    for key in rows[OUTCOME].itertuples(index=False, name=None):
        values = key[-1].values
        found.append((float(told[key]) - float(values[0])) / (float(values[-1]) - float(values[0])))
    return np.array(found)


def readings(corpus: Corpus, rows: pd.DataFrame, model: str) -> dict[str, Floats]:
    """The hidden states [n, h] at each row's text, by layer and place."""
    folder = open_folder(model)
    chat = open_chat(folder)
    network = AutoModelForCausalLM.from_pretrained(folder.base, dtype=torch.float32).eval()
    found: dict[str, list[Floats]] = {}
    for study, stimulus in zip(rows["study_id"], rows["stimulus_id"], strict=True):
        prompt = Prompt(SYSTEM, corpus.stimulus(study, int(stimulus)).stimulus)
        tokens = torch.from_numpy(next(chat.encode([prompt]))).long()[None]
        with torch.no_grad():
            states = network(input_ids=tokens, output_hidden_states=True).hidden_states
        for share in LAYERS:
            layer = round(share * (len(states) - 1))
            found.setdefault(f"layer {layer}, last token", []).append(states[layer][0, -1].numpy())
            found.setdefault(f"layer {layer}, mean", []).append(states[layer][0].mean(0).numpy())
    return {name: np.stack(each) for name, each in found.items()}


def left_out(read: Floats, means: Floats, studies: Floats, weights: Floats, strength: float) -> Floats:
    """What is predicted for each row by the rows of the other studies."""
    found = np.empty(len(means))
    for study in np.unique(studies):
        others = studies != study
        scaler = StandardScaler().fit(read[others])
        fitted = Ridge(alpha=strength).fit(
            scaler.transform(read[others]),
            means[others],
            sample_weight=weights[others] / weights[others].mean(),
        )
        found[~others] = fitted.predict(scaler.transform(read[~others]))
    return found


def tell(name: str, found: Floats, means: Floats, weights: Floats) -> None:
    error = np.average(np.abs(found - means), weights=weights)
    r = np.corrcoef(found, means)[0, 1] if np.std(found) > 0 else np.nan
    print(f"{name:40} mean absolute error {error:.3f}  r {r:6.2f}", flush=True)


if __name__ == "__main__":
    main()
