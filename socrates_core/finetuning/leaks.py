"""Whether anything that a finetune is to be measured on stands among what it learns from, by the rows themselves."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from socrates_core.corpus.splits import UNITS, Kind, Split, split_rows
from socrates_core.corpus.splits_check import MOST_COMPARED
from socrates_core.corpus.text_vectors import most_alike
from socrates_core.exposure.status import statuses
from socrates_core.finetuning.rows import Chosen
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.models.seen import seen_of
from socrates_core.scales.instructions import instruction_start

LIKENESS = 0.9
_ONE = {"studies": "study", "conditions": "condition", "outcomes": "outcome", "participants": "participant"}


@dataclass(frozen=True)
class Leak:
    """One way in which the held-out side is known before it is measured on: `told` names the first of `n` cases.

    `kind` is what was held out and stands among the chosen rows; "texts" for stimuli that both sides show, case and
    spaces aside; "near" for texts of other studies that are nearly the same; "base" for what the base model was
    trained on.
    """

    kind: Kind | Literal["texts", "near", "base"]
    told: str
    n: int


def find_leaks(spec: TrainingSpec, chosen: Chosen) -> list[Leak]:
    """What of the held-out side of the split is among the chosen rows, those kept back included, or in the base model.

    Texts are not compared in a split by participants, whose sides show the same ones. Conditions and outcomes of one
    study are alike by design, so that near duplicates count between studies alone; response instructions never count.
    """
    rows = pd.concat([chosen.train, chosen.validation, chosen.answered], ignore_index=True)
    rows = rows.drop_duplicates(["study_id", "sample_id"])
    held = split_rows(chosen.corpus, chosen.split, "eval")
    found = [*_held_out(chosen.split, rows, held)]
    if chosen.split.kind != "participants":
        ours, theirs = (_shown(chosen, each) for each in (rows, held))
        found += [*_same_texts(ours, theirs), *_near_texts(ours, theirs)]
    return [*found, *_seen_by_base(spec, chosen, held)]


def _held_out(split: Split, rows: pd.DataFrame, held: pd.DataFrame) -> Iterator[Leak]:
    """Rows of a unit that is held out, by their own account or by that of the split."""
    pairs = [(study, unit) for study, units in split.held_out.items() for unit in units]
    units = rows[_unit(split)] if _unit(split) else pd.Series(0, index=rows.index)
    inside = pd.MultiIndex.from_arrays([rows["study_id"], units]).isin(pairs)
    keys = ["study_id", "sample_id"]
    inside |= pd.MultiIndex.from_frame(rows[keys]).isin(pd.MultiIndex.from_frame(held[keys]))
    if inside.any():
        own = rows[inside].assign(unit=units[inside])
        n, first = len(own[["study_id", "unit"]].drop_duplicates()), own.iloc[0]
        named = f"{_unit(split)} {first['unit']} of " if _unit(split) else ""
        told = f"{_count(n, split.kind)} among the rows to train on, the first {named}study {first['study_id']!r}"
        yield Leak(split.kind, f"{told} ({len(own):,} {'row' if len(own) == 1 else 'rows'} in all).", n)


def _unit(split: Split) -> str:
    """The column of what the split holds out; empty for whole studies."""
    return "" if split.kind == "studies" else UNITS[split.kind]


def _count(n: int, kind: Kind) -> str:
    return f"1 held-out {_ONE[kind]} stands" if n == 1 else f"{n:,} held-out {kind} stand"


def _shown(chosen: Chosen, rows: pd.DataFrame) -> pd.DataFrame:
    """The stimuli that rows show: study_id, stimulus_id, stimulus and `same`, equal for texts that are the same."""
    texts = chosen.corpus.ask("SELECT study_id, stimulus_id, stimulus FROM read_parquet($stimuli)")
    shown = rows[["study_id", "stimulus_id"]].drop_duplicates().merge(texts)
    return shown.assign(same=[" ".join(text.casefold().split()) for text in shown["stimulus"]])


def _same_texts(ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Leak]:
    shared = theirs[theirs["same"].isin(ours["same"])].drop_duplicates("same")
    if len(shared):
        first = shared.iloc[0]
        other = ours[ours["same"] == first["same"]].iloc[0]
        yield Leak(
            "texts",
            f"{len(shared):,} held-out {'text is' if len(shared) == 1 else 'texts are'} trained on word for word, the "
            f"first {_place(first)}, which is also {_place(other)}.",
            len(shared),
        )


def _near_texts(ours: pd.DataFrame, theirs: pd.DataFrame) -> Iterator[Leak]:
    others = theirs[~theirs["same"].isin(ours["same"])]
    ours, theirs = _without_instructions(ours), _without_instructions(others)
    alike = most_alike(
        theirs["stimulus"].tolist(),
        ours["stimulus"].tolist(),
        LIKENESS,
        groups=theirs["study_id"].tolist(),
        other_groups=ours["study_id"].tolist(),
    )
    found = np.flatnonzero(alike.likeness >= LIKENESS)
    if len(found):
        best = found[np.argmax(alike.likeness[found])]
        told = "text is" if len(found) == 1 else "texts are"
        pair = f"{_place(theirs.iloc[best])} and {_place(ours.iloc[alike.positions[best]])}"
        yield Leak(
            "near",
            f"{len(found):,} held-out {told} nearly the same as one of another study that is trained on, most of all "
            f"{pair} (likeness {alike.likeness[best]:.2f}).",
            len(found),
        )


def _without_instructions(shown: pd.DataFrame) -> pd.DataFrame:
    """Each study's texts without response instructions: at most MOST_COMPARED, always the same ones."""
    texts = [text[: instruction_start(text)].strip() for text in shown["stimulus"]]
    told = shown.assign(stimulus=texts).drop_duplicates(["study_id", "stimulus"])
    told = told[told["stimulus"] != ""].sample(frac=1, random_state=0).groupby("study_id").head(MOST_COMPARED)
    return told.sort_values(["study_id", "stimulus_id"], ignore_index=True)


def _seen_by_base(spec: TrainingSpec, chosen: Chosen, held: pd.DataFrame) -> Iterator[Leak]:
    """Held-out units of which the base model was trained on a part or all."""
    column = _unit(chosen.split)
    if column and column != "participant":
        places = chosen.corpus.ask(f"SELECT study_id, stimulus_id, {column} FROM read_parquet($stimuli)")
        held = held[["study_id", "stimulus_id"]].drop_duplicates().merge(places)
    units = held[["study_id", column] if column else ["study_id"]].drop_duplicates(ignore_index=True)
    told = statuses(seen_of(spec.base), chosen.corpus, units)
    known = told["status"].isin(["seen", "partly"])
    if known.any():
        first = units[known].iloc[0]
        named = f"{column} {first[column]} of " if column else ""
        n = int(known.sum())
        yield Leak(
            "base",
            f"The base model {spec.base!r} has seen {n:,} of the {len(units):,} held-out {chosen.split.kind}, the "
            f"first {named}study {first['study_id']!r}: {told['reason'][known].iloc[0]}",
            n,
        )


def _place(stimulus: pd.Series) -> str:
    return f"stimulus {stimulus['stimulus_id']} of study {stimulus['study_id']!r}"
