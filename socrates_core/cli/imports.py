"""The command that imports data of every format, which it recognizes by content: import."""

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from socrates_core.cli.options import AsJson, comma_list
from socrates_core.cli.output import print_json, print_result, say
from socrates_core.corpus.socsci210 import HUB, Request, has_columns, run_import
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.importing.build import import_study, preview, trait_examples
from socrates_core.importing.mapping import Mapping, load_mapping, render_mapping
from socrates_core.importing.opening import Opened, open_files
from socrates_core.importing.orders import parse_order, save_order
from socrates_core.importing.propose import find_gaps, with_proposals, write_proposals
from socrates_core.importing.suggest import describe_columns, find_questions
from socrates_core.importing.table import Format


class PrintedProgress:
    """Prints the progress of an import, at most every two seconds."""

    def begin(self, phase: str, total: int, cached: int = 0) -> None:
        self._phase, self._total, self._cached = phase, total, cached
        self._last_printed = 0.0
        self.advance(0)

    def advance(self, computed: int) -> None:
        done = self._cached + computed
        if monotonic() - self._last_printed >= 2 or done >= self._total:
            self._last_printed = monotonic()
            say(f"{self._phase}: {done:,} of {self._total:,}")


def import_(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help=f"Files or a folder, or the word {HUB} for the data set on the Hugging Face hub.",
        ),
    ],
    studies: Annotated[
        str, typer.Option(help="SocSci210 columns: only these study ids, separated by commas.")
    ] = "",
    reasoning: Annotated[
        bool,
        typer.Option(
            "--reasoning", help="SocSci210 columns: also keep the reasoning, which is used only for training."
        ),
    ] = False,
    mapping: Annotated[
        Path | None,
        typer.Option(help="Your own studies: what the columns mean, as YAML, instead of the suggestion."),
    ] = None,
    randomiser: Annotated[
        list[str] | None,
        typer.Option(help="Qualtrics: flow id of the randomizer whose branches are the conditions."),
    ] = None,
    propose: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Your own studies: let this model on your machine propose the missing texts, and print the mapping.",
        ),
    ] = "",
    encoding: Annotated[
        str,
        typer.Option(help="Your own studies: the encoding of the file's texts, such as cp1252 or shift_jis."),
    ] = "",
    sheet: Annotated[str, typer.Option(help="Your own studies: the sheet of a workbook to read.")] = "",
    order: Annotated[
        list[str] | None,
        typer.Option(
            metavar="'A < B < C'",
            help="Your own studies: the order of answers in words, lowest first. It is kept for later files.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the new corpus.")] = "",
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Replace the existing corpus of that name, also if it has studies that are not imported now.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import SocSci210, data in its columns, or your own study: a Qualtrics survey with responses, or a table."""
    if len(paths) == 1 and (paths[0] == HUB or has_columns(Path(paths[0]).expanduser())):
        request = Request(paths[0], tuple(comma_list(studies)), reasoning, name, replace)
        result = run_import(request, PrintedProgress())
        sentence = (
            f"Ready: corpus {result['corpus']!r} with {result['studies']:,} studies, {result['participants']:,} people "
            f"and {result['responses']:,} answers in {result['path']}"
        )
        return print_result(result, sentence, as_json)
    missing = [path for path in paths if not Path(path).expanduser().exists()]
    if missing:
        raise UserError(
            f"{missing[0]!r} is neither a file nor a folder. Give a file, a folder of Parquet files, or the word "
            f"{HUB!r} for the data set on the hub."
        )
    for answers in order or []:
        save_order(parse_order(answers))
    given = load_mapping(mapping) if mapping else None
    format_ = Format(encoding or (given.encoding if given else ""), sheet or (given.sheet if given else ""))
    files = [Path(path).expanduser() for path in paths]
    opened = open_files(files, randomisers=randomiser or [], format_=format_)
    columns = given.model_copy(update=vars(format_)) if given else opened.suggested
    if propose:
        gaps = find_gaps(columns, opened.table.labels)
        proposals = write_proposals(propose, gaps, lambda done, total: say(f"{done} of {total} texts"))
        columns = with_proposals(columns, proposals)
    if propose or (given is None and not opened.is_survey):
        _print_suggestion(opened, columns, as_json)
    else:
        _import_own(opened, columns, name, as_json)


def _print_suggestion(opened: Opened, mapping: Mapping, as_json: bool) -> None:
    """The mapping as YAML with comments on what it takes for traits and leaves out, and all that a person should know.

    As JSON: the mapping, the warnings, and the columns that are left out.
    """
    expected = preview(opened.table, mapping)
    sentences = [*_sentences(opened, mapping), *expected.problems, *expected.sentences]
    used = set(mapping.columns())
    left_out = {column: why for column, why in opened.left_out.items() if column not in used}
    if as_json:
        return print_json(
            {"mapping": mapping.model_dump(mode="json"), "warnings": sentences, "left_out": left_out}
        )
    print(render_mapping(mapping), end="")
    if examples := trait_examples(opened.table, mapping):
        print("# What people would be said to be; check that it is theirs:")
        for field, words in examples.items():
            print(
                f"#   {field} from {' '.join(mapping.demographics[field].column.split())}: {', '.join(words)}"
            )
    if left_out:
        print("# Columns that this mapping does not use:")
        print("\n".join(f"#   {' '.join(column.split())}: {why}" for column, why in left_out.items()))
    say("\n".join(sentences))
    say("Save this as mapping.yaml, correct it, and import the file with --mapping mapping.yaml")


def _sentences(opened: Opened, mapping: Mapping) -> list[str]:
    """What a person should know about the files, and what only a person can say, as the window shows it."""
    return [*opened.warnings, *find_questions(describe_columns(opened.table), mapping, opened.table)]


def _import_own(opened: Opened, mapping: Mapping, name: str, as_json: bool) -> None:
    """Imports a survey with its responses, or a table, as its mapping says."""
    expected = preview(opened.table, mapping)
    corpus = open_corpus(import_study(opened.table, mapping, name or None))
    result = {
        "corpus": corpus.name,
        **corpus.manifest["rows"],
        "mapping": str(corpus.path / "mapping.yaml"),
        "warnings": [*_sentences(opened, mapping), *expected.sentences],
    }
    if as_json:
        return print_json(result)
    say("\n".join(result["warnings"]))
    print(
        f"Ready: corpus {result['corpus']!r} with {result['participants']:,} people and {result['responses']:,} "
        f"answers. To change its mapping, edit {result['mapping']} and import again with --mapping."
    )
