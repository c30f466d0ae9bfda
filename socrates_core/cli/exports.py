"""The command that writes studies for colleagues, with a codebook: export."""

from pathlib import Path
from typing import Annotated

import typer

from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_result
from socrates_core.corpus.export import KINDS, export_corpus, export_study
from socrates_core.corpus.store import find_study, open_corpus
from socrates_core.errors import UserError


def export(
    path: Annotated[Path, typer.Argument(help="The file to write. For all studies as sav or dta, a folder.")],
    study_id: Annotated[str, typer.Option("--study", help="One study. Without it, the whole corpus.")] = "",
    corpus: Annotated[str, typer.Option(help="Name of the corpus.")] = "",
    kind: Annotated[
        str, typer.Option(help=f"{', '.join(KINDS)}. Default: the ending of the file's name.")
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
    print_result(
        {"path": str(path), "codebook": str(codebook)}, f"Written: {path}, codebook {codebook}", as_json
    )
