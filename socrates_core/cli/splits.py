"""Commands of `split`: make, show, list."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from socrates_core.cli.options import AsJson, comma_list
from socrates_core.cli.output import print_json, print_rows, print_table, say
from socrates_core.corpus.splits import SPLITS, Split, load_split, save_split
from socrates_core.corpus.splits_check import MOST_COMPARED, measure_sides, near_duplicates
from socrates_core.corpus.splits_make import make_split, read_official
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError

app = typer.Typer(
    help="Make, show and list splits: what is used for training and what is held out.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def make(
    name: str,
    corpus: Annotated[str, typer.Option(help="The corpus to split.")] = "socsci210",
    kind: Annotated[
        str, typer.Option(help="What is held out: studies, conditions, outcomes or participants.")
    ] = "studies",
    share: Annotated[float, typer.Option(help="Share that is held out, between 0 and 1.")] = 0.25,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is held out.")] = 0,
    studies: Annotated[str, typer.Option(help="Only these studies, separated by commas.")] = "",
    official: Annotated[bool, typer.Option(help="Hold out what SocSci210's authors hold out.")] = False,
    mapping: Annotated[Path | None, typer.Option(help="The authors' file, or its folder.")] = None,
    replace: Annotated[bool, typer.Option(help="Replace an existing split of this name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold out a seeded share of a corpus, or what SocSci210's authors hold out."""
    if name in SPLITS.ids() and not replace:
        raise UserError(f"The split {name!r} already exists. Choose another name or add --replace.")
    opened = open_corpus(corpus)
    if official or mapping is not None:
        split = read_official(opened, kind, name=name, path=mapping)
    else:
        split = make_split(
            opened, kind, name=name, share=share, seed=seed, studies=comma_list(studies) or None
        )
    say(f"Kept as {save_split(split)}")
    _show(split, as_json, 0.9)


@app.command()
def show(
    name: str,
    least: Annotated[
        float, typer.Option(help="Texts at least this similar count as near-duplicates, from 0 to 1.")
    ] = 0.9,
    as_json: AsJson = False,
) -> None:
    """Show a split: its two sides, what they share, and the texts that are nearly the same on both."""
    _show(load_split(name), as_json, least)


@app.command("list")
def list_splits(as_json: AsJson = False) -> None:
    """List every split; a damaged one says so."""
    print_rows(
        SPLITS.rows(_row, lambda name, problem: {"name": name, "kind": "damaged", "source": problem}),
        ["name", "corpus", "kind", "n_studies", "n_held_out", "source", "digest"],
        "There are no splits yet. Make one: python -m socrates_core split make NAME",
        as_json,
    )


def _row(name: str) -> dict[str, Any]:
    split = load_split(name)
    return {
        "name": split.name,
        "corpus": split.corpus,
        "kind": split.kind,
        "seed": split.seed,
        "source": split.source,
        "n_studies": len(split.studies),
        "n_held_out": sum(map(len, split.held_out.values())),
        "digest": split.digest(),
    }


def _show(split: Split, as_json: bool, least: float) -> None:
    corpus = open_corpus(split.corpus)
    sides = measure_sides(corpus, split)
    alike = near_duplicates(corpus, split, least)
    if as_json:
        comparison = {"sides": vars(sides), "near_duplicates": alike.to_dict("records")}
        return print_json({**split.as_dict(), "digest": split.digest(), **comparison})
    print(f"{split.name}: {split.kind} of {split.corpus} held out ({split.source})\n")
    print_table(
        [
            {"": noun, "train": getattr(sides, f"n_train{key}"), "eval": getattr(sides, f"n_eval{key}")}
            for noun, key in (
                ("rows", ""),
                ("studies", "_studies"),
                ("people", "_participants"),
                ("texts", "_texts"),
            )
        ],
        ["", "train", "eval"],
        "",
    )
    print(
        f"\n{sides.n_neither:,} rows are on neither side. {sides.n_shared_participants:,} people and "
        f"{sides.n_shared_texts:,} texts, word for word, are on both sides.\n{len(alike):,} held-out texts are nearly "
        f"the same as one for training (similarity {least:g} or more)."
    )
    if sides.n_train_texts + sides.n_eval_texts > MOST_COMPARED:
        print(
            f"Of a study with more than {MOST_COMPARED} texts on a side, only {MOST_COMPARED} are compared."
        )
    first: list[dict[str, Any]] = json.loads(alike.head(10).to_json(orient="records"))
    print_table(first, list(alike.columns), "")
