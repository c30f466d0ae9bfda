"""Makes a corpus of SocSci210's full size and shape out of made-up text: 17 Parquet shards in its own columns.

    python -m benchmarks.corpus FOLDER [--studies 210] [--without-prompts]

The totals are the data set's: 210 studies with 1,087 to 90,977 rows each, 2,901,390 rows, 400,491 participants, 5,998
cells. Lengths of stimuli follow a real sample (log-normal, 545 characters at the mean, 175 to 1,483). Text, people and
answers are drawn from a seed and mean nothing. About one study in twenty shows every person a text of their own, as
conjoint experiments do; two in five have batteries; one in six is within people.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from socrates_core.prompts import render_prompt
from socrates_core.records import DEMOGRAPHICS

N_STUDIES, N_ROWS, N_PARTICIPANTS, N_CELLS, N_SHARDS = 210, 2_901_390, 400_491, 5_998, 17
ROWS_OF_STUDY = 1_087, 90_977
SEED = 210
WHOLE_NUMBERS = ("age", "household_size")
_STRUCT = pa.struct(
    [(name, pa.int64() if name in WHOLE_NUMBERS else pa.string()) for name in sorted(DEMOGRAPHICS)]
)
Ints = NDArray[np.int64]

INSTRUCTIONS = (
    (
        50,
        "Only return an integer from 1 to 7, where 1 means Not at all and 7 means Extremely, nothing else.",
        1,
        7,
    ),
    (
        14,
        "Only return an integer from 1 to 5, where 1 = 'Strongly oppose' and 5 = 'Strongly favor', nothing else.",
        1,
        5,
    ),
    (10, "Only return an integer from 0 to 10, nothing else.", 0, 10),
    (10, "Only return an integer from 0 to 100 representing percent likelihood, nothing else.", 0, 100),
    (14, "Only return 1 for “Yes” or 2 for “No”, nothing else.", 1, 2),
    (2, "Only return an integer representing the amount in dollars, nothing else.", 0, 250_000),
)
VOCABULARY = {
    "gender": ("Female", "Male"),
    "ethnicity": (
        "White, Non-Hispanic",
        "Black, Non-Hispanic",
        "Hispanic",
        "Other, Non-Hispanic",
        "2+ Races",
    ),
    "education": (
        "Less than high school",
        "High school graduate",
        "Some college, no degree",
        "Bachelors degree",
    ),
    "employment": (
        "Employed as paid employee",
        "Self-employed",
        "Retired",
        "Looking for work",
        "Not working",
    ),
    "marital_status": ("Married", "Never married", "Divorced", "Widowed", "Living with partner"),
    "housing_ownership": ("Owned or being bought by you or someone in your household", "Rented for cash"),
    "housing_type": (
        "A one-family house detached from any other house",
        "A building with 2 or more apartments",
    ),
    "location": tuple(f"State {number:02}" for number in range(51)),
    "metro_status": ("Metro Area", "Non-Metro Area"),
    "income": tuple(f"{low}-{low + 9}K" for low in range(10, 180, 10)),
    "internet_access": ("Internet Household", "Non-internet household"),
    "party_id": (
        "Strong Democrat",
        "Moderate Democrat",
        "Independent",
        "Moderate Republican",
        "Strong Republican",
    ),
    "ideology": ("Very liberal", "Liberal", "Moderate", "Conservative", "Very conservative"),
    "phone_service": ("Cellphone only", "Landline only", "Have a landline, but mostly use cellphone"),
}


@dataclass(frozen=True)
class Shape:
    """How large one study is and how it is built."""

    study_id: str
    n_rows: int
    n_people: int
    n_conditions: int
    n_tasks: int
    within: bool
    own_texts: bool


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--studies", type=int, default=N_STUDIES, help="the first so many of the 210")
    arguments.add_argument("--without-prompts", action="store_true", help="leave prompt and reasoning out")
    chosen = arguments.parse_args()
    for path in write_shards(chosen.folder, chosen.studies, prompts=not chosen.without_prompts):
        print(
            f"{path.name}: {pq.read_metadata(path).num_rows:,} rows, {path.stat().st_size / 1e6:.0f} MB",
            flush=True,
        )


def write_shards(folder: Path, n_studies: int = N_STUDIES, *, prompts: bool = True) -> Iterator[Path]:
    """Writes the corpus' shards one after the other; yields each when it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = shapes()[:n_studies]
    n_shards = min(N_SHARDS, n_studies)
    ends = np.linspace(0, sum(shape.n_rows for shape in chosen), n_shards + 1).round().astype(int)
    tables = (study_table(shape, prompts=prompts) for shape in chosen)
    held = next(tables)
    for number, size in enumerate(np.diff(ends)):
        while held.num_rows < size:
            held = pa.concat_tables([held, next(tables)])
        path = folder / f"train-{number:05}-of-{n_shards:05}.parquet"
        pq.write_table(held.slice(0, size), path, row_group_size=10_000)
        held = held.slice(size)
        yield path


def shapes() -> list[Shape]:
    """The 210 studies' sizes and designs; rows, people and cells add up to the data set's totals."""
    rng = np.random.default_rng(SEED)
    rows = _adding_up(rng, rng.lognormal(9.15, 0.9, N_STUDIES), N_ROWS, *ROWS_OF_STUDY)
    people = _adding_up(
        rng, np.minimum(rng.lognormal(7.4, 0.55, N_STUDIES), rows / 2), N_PARTICIPANTS, 300, 7_000
    )
    people = np.minimum(people, rows)
    people[np.argmax(rows)] += N_PARTICIPANTS - people.sum()
    conditions = np.clip(np.round(rng.lognormal(1.45, 0.65, N_STUDIES)), 2, 96).astype(np.int64)
    conditions[:5], conditions[5] = 1, 96
    tasks = np.clip(np.round(rng.lognormal(1.45, 0.7, N_STUDIES)), 1, 30).astype(np.int64)
    while missing := N_CELLS - int(conditions @ tasks):
        fitting = np.flatnonzero((conditions <= abs(missing)) & (tasks + np.sign(missing) >= 1))
        tasks[rng.choice(fitting)] += np.sign(missing)
    kinds = rng.permutation(N_STUDIES)
    return [
        Shape(
            _word(number, 5),
            int(rows[number]),
            int(people[number]),
            int(conditions[number]),
            int(tasks[number]),
            within=bool(kinds[number] < 35),
            own_texts=bool(kinds[number] > 193),
        )
        for number in range(N_STUDIES)
    ]


def study_table(shape: Shape, *, prompts: bool) -> pa.Table:
    """One study in SocSci210's columns, a row a response."""
    rng = np.random.default_rng([SEED, *shape.study_id.encode()])
    person, place = _people_and_places(shape)
    condition = ((person + place) if shape.within else person) % shape.n_conditions
    turn = place // shape.n_conditions if shape.within else place
    task, item = (turn + person // shape.n_conditions) % shape.n_tasks, turn // shape.n_tasks
    chosen = np.searchsorted(
        np.cumsum([share for share, *_ in INSTRUCTIONS]), rng.integers(0, 100, shape.n_tasks)
    )
    low, high = (np.array([INSTRUCTIONS[kind][end] for kind in chosen[task]]) for end in (2, 3))
    answers = np.clip(np.round(low + (high - low) * rng.beta(2, 2 + condition % 3, len(task))), low, high)
    answers = np.where(rng.random(len(task)) < 0.003, 99, answers)  # refusals
    stimuli = _stimuli(shape, rng, (condition, task, item), chosen)
    people = _people(rng, shape.n_people)
    columns: dict[str, Any] = {
        "sample_id": np.arange(len(task)),
        "participant": person,
        "demographic": pa.array([{**person} for person in people], _STRUCT).take(pa.array(person)),
        "stimuli": stimuli,
        "response": answers.astype(np.int64),
        "condition_num": condition,
        "task_num": task,
    }
    if prompts:
        before = [render_prompt(each, "").user for each in people]
        columns["prompt"] = pa.array(
            [before[who] + text for who, text in zip(person, stimuli.to_pylist(), strict=True)]
        )
        columns["reasoning"] = _reasoning(rng, len(task))
    return pa.table({**columns, "study_id": pa.array([shape.study_id] * len(task))})


def _people_and_places(shape: Shape) -> tuple[Ints, Ints]:
    """Who gives each row [n_rows], and the how manieth of this person's rows it is."""
    base, extra = divmod(shape.n_rows, shape.n_people)
    n_given = np.full(shape.n_people, base) + (np.arange(shape.n_people) < extra)
    person = np.repeat(np.arange(shape.n_people), n_given)
    return person, np.arange(shape.n_rows) - np.repeat(np.cumsum(n_given) - n_given, n_given)


def _stimuli(
    shape: Shape, rng: np.random.Generator, cells: tuple[Ints, Ints, Ints], chosen: Ints
) -> pa.Array:
    """What each row's person read: one text a condition, task and item, or one of their own."""
    condition, task, item = cells
    length = float(np.clip(rng.lognormal(6.15, 0.55), 120, 1_300))
    vignettes = [_prose(rng, length * 0.75) for _ in range(shape.n_conditions)]
    n_items = int(item.max()) + 1
    questions = [[_prose(rng, length * 0.25) for _ in range(n_items)] for _ in range(shape.n_tasks)]
    endings = [INSTRUCTIONS[kind][1] for kind in chosen]
    if shape.own_texts:
        traits = [[_prose(rng, length / 12) for _ in range(4)] for _ in range(9)]
        drawn = rng.integers(0, 4, (len(task), 9))
        told = ["; ".join(t[d] for t, d in zip(traits, row, strict=True)) for row in drawn]
        return pa.array(
            [
                f"You were shown a person with these attributes: {text}. {questions[asked][0]}? {endings[asked]}"
                for text, asked in zip(told, task, strict=True)
            ]
        )
    texts = {
        (c, t, i): f'You read "{vignettes[c]}." and then were asked: "{questions[t][i]}? {endings[t]}"'
        for c in range(shape.n_conditions)
        for t in range(shape.n_tasks)
        for i in range(n_items)
    }
    return pa.array(
        [texts[key] for key in zip(condition.tolist(), task.tolist(), item.tolist(), strict=True)]
    )


def _people(rng: np.random.Generator, n: int) -> list[dict[str, str | int]]:
    """`n` people; one field in twenty is missing."""
    drawn: dict[str, list[Any]] = {
        name: rng.choice(values, n).tolist() for name, values in VOCABULARY.items()
    }
    drawn |= {"age": rng.integers(18, 95, n).tolist(), "household_size": rng.integers(1, 8, n).tolist()}
    known = rng.random((n, len(drawn))) > 0.05
    return [
        {name: values[row] for (name, values), there in zip(drawn.items(), known[row], strict=True) if there}
        for row in range(n)
    ]


def _reasoning(rng: np.random.Generator, n: int) -> pa.Array:
    """About 1,050 characters a row, out of 20,000 sentences."""
    sentences = np.array([_prose(rng, 145) + ". " for _ in range(20_000)], dtype=object)
    return pa.array(sentences[rng.integers(0, len(sentences), (n, 8))].sum(axis=1))


def _prose(rng: np.random.Generator, length: float) -> str:
    """Made-up words, frequent ones more often, of about `length` characters."""
    ranks = np.minimum(rng.zipf(1.3, max(3, int(length / 6.5))), len(WORDS))
    return " ".join(WORDS[rank - 1] for rank in ranks).capitalize()


def _word(number: int, length: int) -> str:
    """A pronounceable word, another one for each number below 11 million."""
    letters = []
    scattered = number * 7_919 + 12_345
    for place in range(length):
        choices = "bdfgkmnprstvz" if place % 2 == 0 else "aeuy2"
        scattered, drawn = divmod(scattered, len(choices))
        letters.append(choices[drawn])
    return "".join(letters)


def _adding_up(rng: np.random.Generator, sizes: NDArray[np.float64], total: int, low: int, high: int) -> Ints:
    """Whole numbers between `low` and `high` in proportion to `sizes` that add up to `total`."""
    for _ in range(50):
        sizes = np.clip(sizes * total / sizes.sum(), low, high)
    whole = np.floor(sizes).astype(np.int64)
    open_ = np.flatnonzero((whole > low) & (whole < high))
    whole[rng.choice(open_, total - whole.sum())] += 1
    whole[open_[0]] += total - whole.sum()
    return whole


WORDS = [_word(number, 2 + 2 * (number % 4) + number % 2) for number in range(5_000)]


if __name__ == "__main__":
    main()
