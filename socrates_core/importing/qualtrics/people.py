"""The people in a Qualtrics export: which rows count, which column tells people apart, who they are."""

import re
from collections.abc import Sequence

from socrates_core.importing.mapping import DemographicSpec, KeepSpec
from socrates_core.importing.qualtrics.columns import MULTIPLE
from socrates_core.importing.qualtrics.outcomes import CONSENT
from socrates_core.importing.qualtrics.responses import Responses, places
from socrates_core.importing.qualtrics.survey import Choice, Question, Survey
from socrates_core.importing.suggest import ColumnFacts, describe_columns, finished_cells, guess_demographic
from socrates_core.importing.traits import are_birth_years, is_age, is_birth_named, is_own_trait

_REFUSING = re.compile(
    r"\b(disagree|(do|will|would) not|don[’']?t|not (agree|consent|wish|want)|decline|refuse|withdraw)\b|^no\b",
    re.IGNORECASE,
)
# Status of rows that are not a preview, a test or spam.
_REAL = ("0", "IP Address", "4", "Imported", "16", "Offline", "32")
_TYPED = ("age", "household_size", "location")  # fields that people may type in
_DEMOGRAPHICS = {
    "age": r"\b(your (current )?age|how old are you)\b",
    "gender": r"\byou.{0,40}\b(gender|sex)\b|^(gender|sex)\b",
    "ethnicity": r"\b(ethnicity|ethnic (group|background)|your race|race or ethnic|racial)\b",
    "education": r"\b(highest|level of|your) .{0,30}(education|degree|school)",
    "employment": r"\bemployment status|currently employed|your (current )?(employment|occupation)\b",
    "marital_status": r"\bmarital status\b|\bare you (currently )?married\b",
    "income": r"\b(household|annual|personal|your) (total )?income\b",
    "household_size": r"\bhow many people .{0,40}(household|live with)",
    "party_id": r"\bparty (identification|affiliation)\b|\b(republican|democrat).{0,80}(democrat|republican)",
    "ideology": r"\bliberal.{0,60}conservative|political (views|ideology|orientation)\b",
    "housing_ownership": r"\b(own or rent|rent or own)\b",
    "location": r"\bwhat (state|country) do you\b|currently reside",
}


def rows_to_keep(survey: Survey, responses: Responses) -> list[KeepSpec]:
    """Keeps real, finished rows of people who consented, as far as columns say so."""
    keep = []
    if column := responses.column("status"):
        keep.append(KeepSpec(column=column, values=_REAL, reason="a preview, test or spam"))
    if column := responses.column("finished"):
        given = [str(cell) for cell in responses.frame[column].dropna().unique()]
        finished = finished_cells(given, responses.value_labels.get(column, {}))
        keep.append(KeepSpec(column=column, values=finished or ("1", "True", "TRUE"), reason="not finished"))
    elif column := responses.column("progress"):
        keep.append(KeepSpec(column=column, values=("100",), reason="not finished"))
    for column, place in places(survey, responses).items():
        question = survey.questions[place.qid]
        if is_consent(question) and not place.suffix:
            agreed = [choice for choice in question.choices if not _REFUSING.search(choice.text)]
            cells = tuple(cell for choice in agreed for cell in (choice.code, choice.text) if cell)
            if cells:
                keep.append(KeepSpec(column=column, values=cells, reason="did not consent"))
    return keep


def is_consent(question: Question) -> bool:
    """Whether the question asks for consent to the study: a choice of at most three, by its name or its words."""
    single = question.kind == "MC" and question.selector not in MULTIPLE and len(question.choices) <= 3
    named = re.search(r"(^|_)consent", question.tag, re.IGNORECASE)
    return single and bool(named or CONSENT.search(question.text))


def participant_column(responses: Responses) -> str | None:
    """The column of response ids if each occurs once; None if every row is a person."""
    column = responses.column("_recordId") or responses.column("ResponseId")
    return column if column and responses.frame[column].is_unique else None


def find_demographics(survey: Survey, responses: Responses) -> dict[str, DemographicSpec]:
    """Demographic field -> its column with the words for its codes; found by the question, or by the column's name."""
    fields = dict[str, DemographicSpec]()
    facts = {column.name: column for column in describe_columns(responses)}
    for column, place in places(survey, responses).items():
        question = survey.questions[place.qid]
        listed = question.kind == "DD" and len(question.choices) == 1
        single = listed or (question.kind == "MC" and question.selector not in MULTIPLE and not place.suffix)
        if place.loop or not (single or (question.kind == "TE" and place.suffix in ("", "_TEXT"))):
            continue
        answers = question.answers if listed else question.choices
        if "age" not in fields and (born := _born(question, facts[column], answers, responses)):
            fields["age"] = born
            continue
        field = _field_of(question.text) or _field_named(question, facts[column])
        if field and field not in fields and (single or field in _TYPED):
            texts = [choice.text for choice in answers] if single else []
            if not is_own_trait(field, question.text, texts) or not _are_numbers(field, texts):
                continue
            values = {choice.code: choice.text for choice in answers if choice.text}
            fields[field] = DemographicSpec(column=column, values=values if single else {})
    return fields


def _born(
    question: Question, column: ColumnFacts, answers: Sequence[Choice], responses: Responses
) -> DemographicSpec | None:
    """The age of people who were asked for their year of birth, worked out with the date of their answers."""
    year = next((c for n in ("startDate", "recordedDate", "endDate") if (c := responses.column(n))), "")
    texts = [choice.text for choice in answers if choice.text] or list(column.values)
    if not year or not is_birth_named(question.tag, question.text) or not are_birth_years(texts):
        return None
    values = {choice.code: choice.text for choice in answers if choice.text}
    return DemographicSpec(column=column.name, values=values, year=year)


def _field_named(question: Question, column: ColumnFacts) -> str | None:
    """The field that a column's name and its question's choices suggest."""
    labels = {choice.code: choice.text for choice in question.choices if choice.text}
    guess = guess_demographic(column, labels)
    return guess.name if guess else None


def _are_numbers(field: str, texts: Sequence[str]) -> bool:
    """Whether the choices of an age are ages in years: 2002 is a year of birth, and "18 to 24" is no number."""
    return field != "age" or not texts or sum(map(is_age, texts)) > len(texts) / 2


def _field_of(text: str) -> str | None:
    """The field that a question asks for; None for a long text, which is a story."""
    fitting = (field for field, pattern in _DEMOGRAPHICS.items() if re.search(pattern, text, re.IGNORECASE))
    return next(fitting, None) if len(text) <= 300 else None
