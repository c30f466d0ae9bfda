"""Commands of `split`: make one, show one, list them."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.corpus.splits import Split, load_split, save_split, splits
from socrates_core.corpus.splits_check import MOST_COMPARED, measure_sides, near_duplicates
from socrates_core.corpus.splits_make import make_split, read_official
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError

app = typer.Typer(
    help="Make, show and list splits into what is trained on and what is evaluated.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command()
def make(
    name: str,
    corpus: Annotated[str, typer.Option(help="The corpus to split.")] = "socsci210",
    kind: Annotated[str, typer.Option(help="studies, conditions, outcomes or participants")] = "studies",
    share: Annotated[float, typer.Option(help="The part that is held out, between 0 and 1.")] = 0.25,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    studies: Annotated[str, typer.Option(help="Only these studies, with commas between them.")] = "",
    official: Annotated[bool, typer.Option(help="What SocSci210's authors hold out.")] = False,
    mapping: Annotated[Path | None, typer.Option(help="The authors' file, or the folder it is in.")] = None,
    replace: Annotated[bool, typer.Option(help="Replace a split of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Hold out a seeded share of a corpus, or what SocSci210's authors hold out."""
    if name in splits() and not replace:
        raise UserError(f"There is a split {name!r} already. Choose another name or add --replace.")
    found = open_corpus(corpus)
    if official or mapping is not None:
        split = read_official(found, kind, name=name, path=mapping)
    else:
        chosen = [each.strip() for each in studies.split(",") if each.strip()]
        split = make_split(found, kind, name=name, share=share, seed=seed, studies=chosen or None)
    say(f"Kept as {save_split(split)}")
    _show(split, as_json, 0.9)


@app.command()
def show(
    name: str,
    least: Annotated[
        float, typer.Option(help="From which likeness on texts count as near-duplicates.")
    ] = 0.9,
    as_json: AsJson = False,
) -> None:
    """Show a split: its sides, what they share, and the texts that are nearly the same on both."""
    _show(load_split(name), as_json, least)


@app.command("list")
def list_splits(as_json: AsJson = False) -> None:
    """List every split; one that is damaged says so."""
    rows = [_listed(name) for name in splits()]
    if as_json:
        return print_json(rows)
    columns = ["name", "corpus", "kind", "n_studies", "n_held_out", "source", "digest"]
    print_table(rows, columns, "There are no splits yet. Make one: python -m socrates_core split make NAME")


def _listed(name: str) -> dict[str, Any]:
    try:
        return _row(load_split(name))
    except UserError as error:
        return {"name": name, "kind": "damaged", "source": str(error)}


def _row(split: Split) -> dict[str, Any]:
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
    sides, alike = measure_sides(corpus, split), near_duplicates(corpus, split, least)
    if as_json:
        told = {"sides": vars(sides), "near_duplicates": alike.to_dict("records")}
        return print_json({**split.as_dict(), "digest": split.digest(), **told})
    print(f"{split.name}: {split.kind} of {split.corpus} held out ({split.source})\n")
    print_table(
        [
            {"": what, "train": getattr(sides, f"n_train{key}"), "eval": getattr(sides, f"n_eval{key}")}
            for what, key in (
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
        f"\n{sides.n_neither:,} rows are on neither side. On both sides stand {sides.n_shared_participants:,} people "
        f"and {sides.n_shared_texts:,} texts, word for word.\n{len(alike):,} texts that are evaluated are nearly the "
        f"same as one that is trained on (likeness {least:g} or more)."
    )
    if sides.n_train_texts + sides.n_eval_texts > MOST_COMPARED:
        print(f"Of a study with more than {MOST_COMPARED} texts on a side, {MOST_COMPARED} are compared.")
    first: list[dict[str, Any]] = json.loads(alike.head(10).to_json(orient="records"))
    print_table(first, list(alike.columns), "")
