"""Whether a column holds a trait of the person, and not a judgment of others or a scale of answers; years of birth."""

import re
from collections.abc import Iterable


def _any(*words: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)


_SELF = _any(
    r"you|your|yourself|i|my|myself|du|dein\w*|sie|ihr\w*|usted|tu|te|su|sus|vous|votre|vos|você|seu|sua",
    r"jij|je|jouw|u|uw|din|ditt|dina|lei|suo|pan\w*",
)
_OWN_VIEWS = _any(  # what people say about their own party or views; "do you think that he .." is not
    r"yourself|your (?:own |current |personal )?(?:party|partisan|political|politics|ideolog\w*|views)",
    r"(?:do|would) you (?:generally |usually |most |mostly |personally )*(?:identify|lean|affiliate|belong)",
    r"are you (?:an?|registered|affiliated|politically|generally|closer|more (?:liberal|conservative))",
    r"you (?:are|feel|lean) closer|describe your|place yourself|you (?:would )?call yourself",
)
_NAMED = re.compile(
    r"[\W_]*(?:(?:party|political|id|identification|affiliation|ideology|orientation|views)[\W_]*)+",
    re.IGNORECASE,
)
_OTHERS = _any(
    r"he|she|his|hers?|him|author|candidate|speaker|senator|president|politician|applicant|employee|writer",
    r"journalist|character|neighbou?rs?|friends?|partner|spouse|father|mother|parents?|typical|average",
    r"most (?:people|americans)|vote|voted|voting|article|leaflet|post|story|person in|people who",
    r"do you think (?:that|the|this|he|she|it)|how (?:likely|much|often)",
)
_GRADED = _any(
    r"agree|disagree|(?:un)?likely|oppose|favou?r|approve|disapprove|support|(?:dis)?satisfied|(?:un)?important",
    r"not at all|never|always|often|rarely|true|false|certain|surely|definitely|probably",
)
_WORDS = {
    "gender": _any(r"male|female|m[ae]n|wom[ae]n|boy|girl|(?:non)?-?binary|trans\w*|cis\w*"),
    "party_id": _any(
        r"republicans?|democrats?|independents?|libertarian|green|labour|conservatives?|tory|tories|liberals?|party"
    ),
    "ideology": _any(
        r"liberals?|conservatives?|left|right|moderate|cent(?:er|re|rist)|middle|progressive|libertarian|socialist"
    ),
}


def is_own_trait(field: str, question: str, answers: Iterable[str]) -> bool:
    """Whether these answers state a trait of the person: not an opinion, nor a guess about somebody else.

    `question` may be a column's label, or empty if the file has none.
    """
    answers = [answer for answer in answers if answer.strip()]
    graded = sum(bool(_GRADED.search(answer)) for answer in answers)
    if 2 * graded > len(answers) or (answers and graded >= 2):
        return False
    if field in ("party_id", "ideology"):
        about_self = _NAMED.fullmatch(question) or (
            _OWN_VIEWS.search(question) and not _OTHERS.search(question)
        )
        if question.strip() and not about_self:
            return False
    elif "?" in question and not _SELF.search(question):
        return False
    if field in _WORDS and any(re.search(r"[^\W\d]{3}", answer) for answer in answers):
        english = re.search(r"\b(?:you|your|the|are)\b", question, re.IGNORECASE)
        return not english or any(_WORDS[field].search(answer) for answer in answers)
    return True


def is_age(answer: str) -> bool:
    """Whether a text is an age in years, as a persona needs it: a number up to 120."""
    return bool(re.fullmatch(r"\d{1,3}", answer.strip())) and 0 < int(answer) <= 120


_BORN_NAMED = re.compile(
    r"(?:.*[_ .-])?(?:yob|birth[_ .-]?y(?:ea)?r|year[_ .-]?(?:of[_ .-]?)?birth|birthyear|byear|yrborn|year[_ .-]?born"
    r"|born|yrbrn|geburtsjahr|gebjahr|geb_?j|annee[_ .-]?naissance|naissance|nacimiento|nascimento|anno_?nascita)"
    r"(?:[_ .-]?\w{0,8})?",
    re.IGNORECASE,
)
_BORN_ASKED = _any(
    r"(?:what|which) year were you born|year (?:that |in which )?you were born|your (?:year of birth|birth year)",
    r"year of (?:your )?birth|birth year|when were you born|geburtsjahr|in welchem jahr .{0,20}geboren",
    r"ann[ée]e de (?:votre )?naissance|año de (?:su )?nacimiento|ano de nascimento|anno di nascita|geboortejaar",
)
_YEAR = re.compile(r"(?<!\d)((?:19|20)\d\d)(?!\d)")
_EARLIEST, _LATEST = 1890, 2025  # years of birth of people who may answer


def is_birth_named(name: str, question: str) -> bool:
    """Whether a column's name or question asks for the year in which the person was born."""
    return bool(
        _BORN_NAMED.fullmatch(name) or (_BORN_ASKED.search(question) and not _OTHERS.search(question))
    )


def are_birth_years(answers: Iterable[str]) -> bool:
    """Whether nearly all answers are years of four digits in which people were born."""
    given = [answer.strip() for answer in answers if answer.strip()]
    years = [text for text in given if re.fullmatch(r"\d{4}", text) and _EARLIEST <= int(text) <= _LATEST]
    return len(years) >= 2 and len(years) >= 0.8 * len(given)


def year_in(cell: str) -> int | None:
    """The year in a date, such as 2020-03-01, 3/1/2020 10:15, or 2020; None if there is none."""
    match = _YEAR.search(cell)
    return int(match[1]) if match else None
