"""Files that somebody brings: which of them holds the data, which the survey, and a first mapping for both."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from socrates_core.errors import UserError
from socrates_core.importing.mapping import Mapping
from socrates_core.importing.qualtrics.pair import read_responses, read_survey, understand
from socrates_core.importing.qualtrics.responses import has_nameless_first_row, has_question_line
from socrates_core.importing.record import WHOLE, Pace, Table
from socrates_core.importing.suggest import suggest_table
from socrates_core.importing.table import read_table


@dataclass(frozen=True)
class Opened:
    """A table with the mapping that its files suggest; `warnings` are about both, `left_out`: column -> why.

    `questions` are what the suggestion leaves to a person. `randomisers`: key -> arms of each randomiser of a survey
    that could tell the conditions, those `taken` among them.
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
    """What a data file, or a Qualtrics survey with its responses, holds.

    `randomisers` are those of the survey whose arms are the conditions, where the first is not meant. Raises
    UserError where a file cannot be read.
    """
    surveys = [path for path in paths if _is_survey(path)]
    data = [path for path in paths if path not in surveys]
    if len(data) != 1 or len(surveys) > 1:
        told = ", ".join(repr(path.name) for path in paths)
        raise UserError(
            f"Give one data file, or one Qualtrics survey (.qsf) with its responses (.csv); these are {told}."
        )
    if surveys:
        survey = read_survey(surveys[0])
        responses = read_responses(data[0], survey, pace)
        found = understand(survey, responses, randomisers)
        warnings = (*responses.warnings, *found.warnings)
        return Opened(responses, found.mapping, warnings, found.left_out, found.randomisers, found.taken)
    table = read_table(data[0], pace)
    head = table.frame.head(3)
    ids = head.apply(lambda row: row.str.contains('"ImportId"', regex=False).any(), axis=1).any()
    if ids or has_question_line(table) or has_nameless_first_row(table):
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
