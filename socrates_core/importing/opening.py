"""Opens the files that a person brings: which one is the data, which the survey, and a first mapping of both."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from socrates_core.errors import UserError
from socrates_core.importing.mapping import Mapping
from socrates_core.importing.qualtrics.responses import has_nameless_first_row, has_question_line
from socrates_core.importing.qualtrics.suggest import read_responses, read_survey, suggest_survey
from socrates_core.importing.read_table import read_table
from socrates_core.importing.suggest import suggest_table
from socrates_core.importing.table import WHOLE, Pace, Table


@dataclass(frozen=True)
class Opened:
    """A table with the mapping that its files suggest, and `warnings` about both; `left_out`: column -> why.

    `questions` are for a person to answer. `randomisers`: key -> arms of each randomizer of a survey that could define
    the conditions; the suggestion uses those in `taken`.
    """

    table: Table
    suggested: Mapping
    warnings: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    randomisers: dict[str, str] = field(default_factory=dict)
    taken: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()


def open_files(
    paths: Sequence[Path], title: str = "", randomisers: Sequence[str] = (), *, pace: Pace = WHOLE
) -> Opened:
    """The table and suggested mapping of a data file, or of a Qualtrics survey with its responses.

    `randomisers` are the survey's randomizers whose arms are the conditions; by default the first usable one. Raises
    UserError if a file cannot be read.
    """
    surveys = [path for path in paths if _is_survey(path)]
    data = [path for path in paths if path not in surveys]
    if len(data) != 1 or len(surveys) > 1:
        names = ", ".join(repr(path.name) for path in paths)
        raise UserError(
            f"Give one data file, or one Qualtrics survey (.qsf) with its responses (.csv). You gave {names}."
        )
    if surveys:
        survey = read_survey(surveys[0])
        responses = read_responses(data[0], survey, pace)
        suggested = suggest_survey(survey, responses, randomisers)
        return Opened(
            responses,
            suggested.mapping,
            (*responses.warnings, *suggested.warnings),
            suggested.left_out,
            suggested.randomisers,
            suggested.taken,
        )
    table = read_table(data[0], pace)
    head = table.frame.head(3)
    has_import_ids = head.apply(lambda row: row.str.contains('"ImportId"', regex=False).any(), axis=1).any()
    if has_import_ids or has_question_line(table) or has_nameless_first_row(table):
        table = read_responses(data[0], pace=pace)
    suggestion = suggest_table(table, title or data[0].stem)
    return Opened(
        table, suggestion.mapping, table.warnings, suggestion.left_out, questions=suggestion.questions
    )


def _is_survey(path: Path) -> bool:
    try:
        with path.open("rb") as opened:
            start = opened.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
    except OSError as error:
        raise UserError(f"The file {str(path)!r} cannot be read ({error.strerror}).") from error
    return start.startswith(b"{") and b'"SurveyEntry"' in start
