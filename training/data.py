"""The examples of a finetune in one Arrow file: the main process writes it once, every process maps it into memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from torch.utils.data import Sampler

from socrates_core.files import replacing
from socrates_core.finetuning.examples import Example, n_target_tokens
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.records import Floats
from socrates_core.scoring.tree import Ints

KEPT = 4  # files of examples; the most recently used ones stay
AT_ONCE = 1000  # examples that are written together
SCHEMA = pa.schema(
    {
        "prompt": pa.list_(pa.int32()),
        "answers": pa.list_(pa.list_(pa.int32())),
        "shares": pa.list_(pa.float64()),
        "weight": pa.float64(),
        "row": pa.int64(),
        "person": pa.int64(),
        "n_tokens": pa.int64(),
        "n_target_tokens": pa.float64(),
    }
)


def write_examples(path: Path, examples: Sequence[Example]) -> None:
    """Writes the file at `path`, and removes those that were not used for longest."""
    with (
        replacing(path) as aside,
        pa.OSFile(str(aside), "wb") as file,
        pa.ipc.new_stream(file, SCHEMA) as stream,
    ):
        for start in range(0, len(examples), AT_ONCE):
            rows = [_row(example) for example in examples[start : start + AT_ONCE]]
            stream.write_batch(pa.RecordBatch.from_pylist(rows, SCHEMA))
    newest = sorted(path.parent.glob("[!.]*.arrow"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in newest[KEPT:]:
        old.unlink(missing_ok=True)


def _row(example: Example) -> dict[str, Any]:
    row = {name: getattr(example, name) for name in SCHEMA.names if name != "n_target_tokens"}
    return row | {"n_target_tokens": n_target_tokens([example])}


def open_examples(path: Path) -> Dataset:
    """The examples as a memory-mapped data set, a row each."""
    dataset: Dataset = Dataset.from_file(str(path))
    path.touch()  # `write_examples` removes those that were touched longest ago
    return dataset


def column(dataset: Dataset, name: str) -> np.ndarray:
    """One number for each example [n]."""
    values: np.ndarray = dataset.data.column(name).to_numpy()
    return values


def to_examples(rows: Sequence[dict[str, Any]]) -> list[Example]:
    """The examples in rows of the data set."""
    return [
        Example(
            prompt=np.array(row["prompt"], dtype=np.int32),
            answers=tuple(map(tuple, row["answers"])),
            shares=np.array(row["shares"]),
            weight=row["weight"],
            row=row["row"],
            person=row["person"],
        )
        for row in rows
    ]


def loss_sizes(dataset: Dataset, spec: TrainingSpec) -> Floats:
    """What each example [n] adds to the divisor of a step's summed loss: a pair for DPO, else its target tokens.

    Both are weighted.
    """
    weights: Floats = column(dataset, "weight")
    return weights if spec.method == "dpo" else weights * column(dataset, "n_target_tokens")


class StepSampler(Sampler[list[int]]):
    """The places of the examples that this process reads in each step from `done` + 1 to `n_steps`.

    What a step reads follows from its number, so no order must be stored. `people` [n] numbers each example's person.
    """

    def __init__(
        self,
        people: Ints,
        spec: TrainingSpec,
        n_steps: int,
        *,
        done: int = 0,
        process: int = 0,
        n_processes: int = 1,
    ) -> None:
        self.done = done
        self._people, self._spec, self._n_steps = people, spec, n_steps
        self._process, self._n_processes = process, n_processes
        self._orders: dict[int, Ints] = {}

    def __len__(self) -> int:
        return self._n_steps - self.done

    def __iter__(self) -> Iterator[list[int]]:
        for step in range(self.done + 1, self._n_steps + 1):
            places = self.places(step)
            start, stop = (
                len(places) * part // self._n_processes for part in (self._process, self._process + 1)
            )
            yield places[start:stop].tolist()

    def places(self, step: int) -> Ints:
        """The places [batch_size] of the examples that all processes read in step number `step`, from 1."""
        size, n = self._spec.batch_size, len(self._people)
        places = np.arange((step - 1) * size, step * size)
        epochs = places // n
        return np.concatenate(
            [self._order(int(epoch))[places[epochs == epoch] % n] for epoch in np.unique(epochs)]
        )

    def _order(self, epoch: int) -> Ints:
        """A seeded order of all examples; with `share_people`, examples of one person are neighbors."""
        if epoch not in self._orders:
            # Kept for the epoch: sorting 2.4 million examples takes 0.75 s.
            self._orders = {old: order for old, order in self._orders.items() if old == epoch - 1}
            self._orders[epoch] = self._new_order(epoch)
        return self._orders[epoch]

    def _new_order(self, epoch: int) -> Ints:
        # The second number keeps each draw from the same seed apart: 1 to 3 are in finetuning/rows.py, 4 in
        # examples.py.
        rng = np.random.default_rng([self._spec.seed, 5, epoch])
        people = self._people
        if not self._spec.share_people:
            return rng.permutation(len(people))
        # `lexsort` sorts by its last key first: the people in random order, then each one's examples.
        return np.lexsort((rng.random(len(people)), rng.permutation(people.max() + 1)[people]))
