"""Whether a finetune trains on anything that it will be measured on, checked row by row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from socrates_core.corpus.splits import UNITS, Kind, Split, split_rows
from socrates_core.corpus.splits_check import MOST_COMPARED
from socrates_core.corpus.text_vectors import most_alike
from socrates_core.exposure.status import statuses
from socrates_core.finetuning.rows import TrainingRows
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.models.seen import seen_of
from socrates_core.scales.instructions import instruction_start

LIKENESS = 0.9
_ONE = {"studies": "study", "conditions": "condition", "outcomes": "outcome", "participants": "participant"}


@dataclass(frozen=True)
class Leak:
    """One way in which held-out material is trained on: `n` cases, of which `sentence` names the first.

    `kind` is the kind of held-out unit that is among the chosen rows; "texts" for stimuli that both sides show, apart
    from case and spaces; "near" for nearly identical texts of other studies; "base" for what the base model was trained
    on.
    """

    kind: Kind | Literal["texts", "near", "base"]
    sentence: str
    n: int


def find_leaks(spec: TrainingSpec, rows: TrainingRows) -> list[Leak]:
    """The held-out material of the split that is among the chosen rows, kept-back rows included, or in the base model.

    Texts are not compared in a split by participants, whose sides show the same ones. Conditions and outcomes of one
    study are alike by design, so near duplicates count only between studies; response instructions never count.
    """
    # `answered` too: targets of DPO and distribution training hold answers of rows that are not trained on.
    chosen = pd.concat([rows.train, rows.validation, rows.answered], ignore_index=True)
    chosen = chosen.drop_duplicates(["study_id", "sample_id"])
    held_out = split_rows(rows.corpus, rows.split, "eval")
    leaks = [*_held_out_units(rows.split, chosen, held_out)]
    if rows.split.kind != "participants":
        trained_texts = _texts_shown(rows, chosen)
        held_texts = _texts_shown(rows, held_out)
        leaks += _same_texts(trained_texts, held_texts)
        leaks += _near_texts(trained_texts, held_texts)
    return [*leaks, *_seen_by_base(spec, rows, held_out)]


def _held_out_units(split: Split, rows: pd.DataFrame, held_out: pd.DataFrame) -> Iterator[Leak]:
    """Rows of held-out units, found by the unit's number and by the rows that the split gives to evaluation."""
    column = _unit_column(split)
    units = rows[column] if column else pd.Series(0, index=rows.index)
    pairs = [(study, unit) for study, numbers in split.held_out.items() for unit in numbers]
    keys = ["study_id", "sample_id"]
    is_held_out = pd.MultiIndex.from_arrays([rows["study_id"], units]).isin(pairs)
    is_held_out |= pd.MultiIndex.from_frame(rows[keys]).isin(pd.MultiIndex.from_frame(held_out[keys]))
    if not is_held_out.any():
        return
    leaked = rows[is_held_out].assign(unit=units[is_held_out])
    first = leaked.iloc[0]
    n = len(leaked[["study_id", "unit"]].drop_duplicates())
    count = f"1 held-out {_ONE[split.kind]} is" if n == 1 else f"{n:,} held-out {split.kind} are"
    place = f"{column} {first['unit']} of " if column else ""
    n_rows = f"{len(leaked):,} {'row' if len(leaked) == 1 else 'rows'}"
    yield Leak(
        split.kind,
        f"{count} among the rows to train on, the first {place}study {first['study_id']!r} ({n_rows} in all).",
        n,
    )


def _unit_column(split: Split) -> str:
    """The column with the number of what the split holds out; empty for whole studies."""
    return "" if split.kind == "studies" else UNITS[split.kind]


def _texts_shown(rows: TrainingRows, frame: pd.DataFrame) -> pd.DataFrame:
    """The stimuli that the rows of `frame` show: study_id, stimulus_id, stimulus, and `same`, equal for equal texts."""
    texts = rows.corpus.ask("SELECT study_id, stimulus_id, stimulus FROM read_parquet($stimuli)")
    shown = frame[["study_id", "stimulus_id"]].drop_duplicates().merge(texts)
    return shown.assign(same=[" ".join(text.casefold().split()) for text in shown["stimulus"]])


def _same_texts(trained: pd.DataFrame, held: pd.DataFrame) -> Iterator[Leak]:
    shared = held[held["same"].isin(trained["same"])].drop_duplicates("same")
    if len(shared):
        first = shared.iloc[0]
        other = trained[trained["same"] == first["same"]].iloc[0]
        yield Leak(
            "texts",
            f"{len(shared):,} held-out {'text is' if len(shared) == 1 else 'texts are'} trained on word for word, the "
            f"first {_place(first)}, which is also {_place(other)}.",
            len(shared),
        )


def _near_texts(trained: pd.DataFrame, held: pd.DataFrame) -> Iterator[Leak]:
    held = _without_instructions(held[~held["same"].isin(trained["same"])])
    trained = _without_instructions(trained)
    alike = most_alike(
        held["stimulus"].tolist(),
        trained["stimulus"].tolist(),
        LIKENESS,
        groups=held["study_id"].tolist(),
        other_groups=trained["study_id"].tolist(),
    )
    near = np.flatnonzero(alike.likeness >= LIKENESS)
    if len(near):
        best = near[np.argmax(alike.likeness[near])]
        yield Leak(
            "near",
            f"{len(near):,} held-out {'text is' if len(near) == 1 else 'texts are'} nearly the same as one of another "
            f"study that is trained on. The closest are {_place(held.iloc[best])} and "
            f"{_place(trained.iloc[alike.positions[best]])} (likeness {alike.likeness[best]:.2f}).",
            len(near),
        )


def _without_instructions(shown: pd.DataFrame) -> pd.DataFrame:
    """Each study's texts without response instructions: at most MOST_COMPARED, always the same ones."""
    texts = [text[: instruction_start(text)].strip() for text in shown["stimulus"]]
    distinct = shown.assign(stimulus=texts).drop_duplicates(["study_id", "stimulus"])
    distinct = distinct[distinct["stimulus"] != ""].sample(frac=1, random_state=0)
    first = distinct.groupby("study_id").head(MOST_COMPARED)
    return first.sort_values(["study_id", "stimulus_id"], ignore_index=True)


def _seen_by_base(spec: TrainingSpec, rows: TrainingRows, held_out: pd.DataFrame) -> Iterator[Leak]:
    """Held-out units that the base model was trained on, wholly or in part."""
    column = _unit_column(rows.split)
    if column and column != "participant":
        places = rows.corpus.ask(f"SELECT study_id, stimulus_id, {column} FROM read_parquet($stimuli)")
        held_out = held_out[["study_id", "stimulus_id"]].drop_duplicates().merge(places)
    units = held_out[["study_id", column] if column else ["study_id"]].drop_duplicates(ignore_index=True)
    exposure = statuses(seen_of(spec.base), rows.corpus, units)
    is_seen = exposure["status"].isin(["seen", "partly"])
    if is_seen.any():
        first = units[is_seen].iloc[0]
        place = f"{column} {first[column]} of " if column else ""
        n = int(is_seen.sum())
        yield Leak(
            "base",
            f"The base model {spec.base!r} has seen {n:,} of the {len(units):,} held-out {rows.split.kind}, the "
            f"first {place}study {first['study_id']!r}: {exposure['reason'][is_seen].iloc[0]}",
            n,
        )


def _place(stimulus: pd.Series) -> str:
    return f"stimulus {stimulus['stimulus_id']} of study {stimulus['study_id']!r}"
