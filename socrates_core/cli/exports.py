"""The command that writes studies for colleagues, with a codebook."""

from pathlib import Path
from typing import Annotated

import typer

from socrates_core.cli.output import AsJson, print_json
from socrates_core.corpus.export import KINDS, export_corpus, export_study
from socrates_core.corpus.store import find_study, open_corpus
from socrates_core.errors import UserError


def export(
    path: Annotated[Path, typer.Argument(help="File to write; for all studies as sav or dta, a folder.")],
    study_id: Annotated[str, typer.Option("--study", help="One study; without it all of the corpus.")] = "",
    corpus: Annotated[str, typer.Option(help="Name of the corpus.")] = "",
    kind: Annotated[
        str, typer.Option(help=f"{', '.join(KINDS)}; by default what the file's name ends in.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write a study or a corpus in SocSci210's columns (Parquet, CSV) or labelled (sav, dta), with a codebook."""
    if not study_id and not corpus:
        raise UserError("Say what to write: a study with --study, or a whole corpus with --corpus.")
    chosen = kind or path.suffix.removeprefix(".").lower()
    if study_id:
        codebook = export_study(find_study(study_id, corpus or None), study_id, chosen, path)
    else:
        codebook = export_corpus(open_corpus(corpus), chosen, path)
    if as_json:
        return print_json({"path": str(path), "codebook": str(codebook)})
    print(f"Written: {path}, codebook {codebook}")
