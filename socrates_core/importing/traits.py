"""Whether a column holds a trait of the person, and not a judgment of others or a scale of answers."""

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
