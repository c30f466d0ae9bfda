"""Opens the files that a person brings: which one is the data, which the survey, and a first mapping of both."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from socrates_core.errors import UserError
from socrates_core.importing.codebook import SHEETS, find_codebook, read_codebook, with_codebook
from socrates_core.importing.header_rows import with_second_header
from socrates_core.importing.mapping import Mapping
from socrates_core.importing.qualtrics.responses import Responses, has_question_line
from socrates_core.importing.qualtrics.suggest import read_responses, read_survey, suggest_survey
from socrates_core.importing.read_table import read_table
from socrates_core.importing.suggest import suggest_table
from socrates_core.importing.table import UNSAID, WHOLE, Format, Pace, Table


@dataclass(frozen=True)
class Opened:
    """A table with the mapping that its files suggest, and `warnings` about both; `left_out`: column -> why.

    `randomisers`: key -> arms of each randomizer of a survey that could define the conditions; the suggestion uses
    those in `taken`. `is_survey`: whether a survey came with the data, so that the suggestion has all texts.
    """

    table: Table
    suggested: Mapping
    warnings: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    randomisers: dict[str, str] = field(default_factory=dict)
    taken: tuple[str, ...] = ()
    is_survey: bool = False


def open_files(
    paths: Sequence[Path],
    title: str = "",
    randomisers: Sequence[str] = (),
    *,
    pace: Pace = WHOLE,
    format_: Format = UNSAID,
) -> Opened:
    """The table and suggested mapping of a data file and its codebook, or of a Qualtrics survey with its responses.

    `randomisers` are the survey's randomizers whose arms are the conditions; by default the first usable one. Raises
    UserError if a file cannot be read.
    """
    surveys = [path for path in paths if _is_survey(path)]
    data = [path for path in paths if path not in surveys]
    if len(surveys) == 1 and len(data) == 1:
        survey = read_survey(surveys[0])
        responses = read_responses(data[0], survey, pace, format_)
        suggested = suggest_survey(survey, responses, randomisers)
        return Opened(
            responses,
            _in_format(suggested.mapping, format_),
            (*responses.warnings, *suggested.warnings),
            {**suggested.left_out, **dict.fromkeys(responses.empty, "empty")},
            suggested.randomisers,
            suggested.taken,
            is_survey=True,
        )
    if surveys or not 1 <= len(data) <= 2:
        raise _unfit(paths)
    path, table = _with_codebook(data, paths, pace, format_)
    suggestion = suggest_table(table, title or path.stem)
    empty = table.empty if isinstance(table, Responses) else ()
    return Opened(
        table,
        _in_format(suggestion.mapping, format_),
        table.warnings,
        {**suggestion.left_out, **dict.fromkeys(empty, "empty")},
    )


def _with_codebook(
    data: Sequence[Path], paths: Sequence[Path], pace: Pace, format_: Format
) -> tuple[Path, Table]:
    """The data file and its table, with what a second file or a sheet of its own says about its columns."""
    if len(data) == 2:
        found = find_codebook({path: _read_data(path, pace, UNSAID) for path in data})
        if found is None:
            raise _unfit(paths)
        (path,) = [other for other in data if other != found[0]]
        return path, with_codebook(_read_data(path, pace, format_), found[1], repr(found[0].name))
    table = _read_data(data[0], pace, format_)
    for sheet in table.sheets:
        if sheet != table.sheet and SHEETS.fullmatch(sheet.strip()):
            try:
                other = read_table(data[0], format_=Format(sheet=sheet))
            except UserError:
                continue  # without rows
            if codebook := read_codebook(other, list(map(str, table.frame))):
                return data[0], with_codebook(table, codebook, f"The sheet {sheet!r}")
    return data[0], table


def _read_data(path: Path, pace: Pace, format_: Format) -> Table:
    """The table of a data file without further header lines, whichever tool wrote them."""
    table = read_table(path, pace, format_)
    head = table.frame.head(3)
    has_import_ids = head.apply(lambda row: row.str.contains('"ImportId"', regex=False).any(), axis=1).any()
    if has_import_ids or has_question_line(table):
        return read_responses(path, pace=pace, format_=format_)
    return with_second_header(table)


def _in_format(mapping: Mapping, format_: Format) -> Mapping:
    return mapping.model_copy(update=vars(format_))


def _unfit(paths: Sequence[Path]) -> UserError:
    names = ", ".join(repr(path.name) for path in paths)
    return UserError(
        "Give one data file, alone or with its codebook (a table with a row for each column), or one Qualtrics survey "
        f"(.qsf) with its responses (.csv). You gave {names}."
    )


def _is_survey(path: Path) -> bool:
    try:
        with path.open("rb") as opened:
            start = opened.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
    except OSError as error:
        raise UserError(f"The file {str(path)!r} cannot be read ({error.strerror}).") from error
    return start.startswith(b"{") and b'"SurveyEntry"' in start
