"""What a model is asked, word for word as SocSci210 asks it (Kolluri et al. 2025, arXiv 2509.05830)."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, takewhile

from socrates_core.errors import unknown
from socrates_core.personas import render_profile
from socrates_core.records import Prompt, Question, Scale
from socrates_core.scales.instructions import instruction_start

TEMPLATE = "socsci210-v1"
# Only for models finetuned with it. All people of a condition share this beginning, so a long stimulus is read once.
STIMULUS_FIRST = "stimulus-first-v1"
TEMPLATES = (TEMPLATE, STIMULUS_FIRST)
SYSTEM = (
    "You are simulating a survey respondent. Answer exactly as instructed, following the specified "
    "response format without additional commentary."
)
_USER = """You are a survey respondent with the following demographic profile:
{profile}

Read the question below and answer exactly as this person would. Follow the response instructions precisely.

{stimulus}"""
_NARRATED = re.compile(
    r"\AYou (?:read|viewed|watched|saw|heard|listened|did not|were (?:asked|told|shown|informed|given|not))\b"
)
_USER_STIMULUS_FIRST = """Read the question below, to be answered by a survey respondent.

{stimulus}

You are that respondent, with the following demographic profile:
{profile}

Answer exactly as this person would. Follow the response instructions precisely."""
_READ = re.compile(r"\AYou read (?P<quote>[\"“'‘])")
_ASKED = re.compile(
    r"(?:\A|,?\s{1,2})(?:and\s)?(?:then\s)?(?:you\s)?were\s(?:then\s)?asked:\s{0,2}(?P<quote>[\"“'‘])",
    re.IGNORECASE,
)
_DOUBLE, _SINGLE = '"“”', "'‘’"
_SENTENCE = re.compile(r"(?<=[.?!])[\"”'’)]{0,2}\s+")


def render_prompt(demographics: Mapping[str, str | int], stimulus: str, template: str = TEMPLATE) -> Prompt:
    """The exact messages for one person and one stimulus, without missing demographics.

    Raises UserError for a template that is not in TEMPLATES.
    """
    if template not in TEMPLATES:
        raise unknown("prompt template", template, TEMPLATES)
    user = _USER if template == TEMPLATE else _USER_STIMULUS_FIRST
    return Prompt(SYSTEM, user.format(profile=render_profile(demographics), stimulus=stimulus))


def ask(
    demographics: Mapping[str, str | int], stimulus: str, scale: Scale, template: str = TEMPLATE
) -> Question:
    """One person's question. Its options are the values of the scale, or none if answers have to be drawn."""
    prompt = render_prompt(demographics, stimulus, template)
    return Question(prompt, (), scale) if scale.is_drawn else Question(prompt, scale.options)


def render_stimulus(condition_text: str, question: str, instruction: str) -> str:
    """What a person reads: the condition, the question and the response instruction, without empty parts.

    A condition that narrates ("You viewed a photo") is used as it is; any other is quoted as read.
    """
    condition = condition_text.strip()
    if not question.strip():
        return f"{condition} {instruction}".strip()
    full_question = f"{question.strip()} {instruction}".strip()
    were_asked = f'were asked: "{full_question}"'
    if not condition:
        return f"You {were_asked}"
    if not _NARRATED.match(condition):
        return f'You read "{condition}" and then {were_asked}'
    is_sentence = condition.rstrip("\"”'’)").endswith((".", "?", "!"))
    return f"{condition} Then you {were_asked}" if is_sentence else f"{condition} and then {were_asked}"


def split_stimulus(stimulus: str) -> tuple[str, str]:
    """The condition's text and the question, without the instruction. The inverse of `render_stimulus`.

    Also splits "You viewed ... and then were asked: '...'" and similar texts; a condition without quotation marks is
    kept as it is. Both parts are in the stimulus letter by letter. If it is not certain where the question begins,
    the whole text is the condition and the question is empty.
    """
    start = instruction_start(stimulus)
    text = stimulus[:start].strip()
    for opening in reversed(list(_ASKED.finditer(text))[-5:]):
        question, before = text[opening.end() :], text[: opening.start()]
        closed = _closed_at(question, opening["quote"])
        at_end = len(question) - 1 if question.endswith(tuple(_kind(opening["quote"]))) else None
        if closed != at_end or not question[:closed].strip():
            continue
        if not before:
            return "", question[:closed].strip()
        read = _READ.match(before)
        if read and _closed_at(before[read.end() :], read["quote"]) == len(before) - read.end() - 1:
            return before[read.end() : -1].strip(), question[:closed].strip()
        if _is_balanced(before):
            return before.strip(), question[:closed].strip()
    return text, ""


def split_stimuli(rows: Sequence[tuple[int, int, str]]) -> list[tuple[str, str]]:
    """The condition and question of every stimulus of one study, given as (condition_num, task_num, stimulus).

    A text that `split_stimulus` leaves whole is split by comparing conditions: the question is the ending that texts of
    several conditions share although they begin differently. A text that all conditions contain is a battery of
    questions and says nothing about where the question begins.
    """
    parts = [split_stimulus(stimulus) for _, _, stimulus in rows]
    alike: dict[tuple[int, str], list[int]] = defaultdict(list)
    for index, ((_, task_num, _), (text, question)) in enumerate(zip(rows, parts, strict=True)):
        if not question:
            alike[task_num, _sentences(text)[-1]].append(index)
    for (_, last), indices in alike.items():
        conditions_of: dict[str, set[int]] = defaultdict(set)
        for index in indices:
            conditions_of[parts[index][0]].add(rows[index][0])
        conditions = set[int]().union(*conditions_of.values())
        if "?" in last and len(conditions_of) > 1 and conditions not in conditions_of.values():
            question = _shared_end(sorted(conditions_of))
            for index in indices:
                text = parts[index][0]
                opening = _ASKED.match(question)
                bare = question[opening.end() :].rstrip("\"”'’") if opening else question
                parts[index] = text[: len(text) - len(question)].strip(), bare
    return parts


def _shared_end(texts: Sequence[str]) -> str:
    """The whole sentences at the end of all texts."""
    backwards = zip(*(reversed(_sentences(text)) for text in texts), strict=False)
    n_shared = sum(1 for _ in takewhile(lambda sentences: len(set(sentences)) == 1, backwards))
    return "".join(_sentences(texts[0])[-n_shared:])


def _sentences(text: str) -> list[str]:
    """The sentences of a text, each with the space after it."""
    ends = [0, *(end.end() for end in _SENTENCE.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


def _closed_at(text: str, quote: str) -> int | None:
    """Where the quotation closes that `quote` opened right before `text`; None if it does not close."""
    depth = 1
    for position, step in _quote_marks(text, quote):
        depth += step
        if depth == 0:
            return position
    return None


def _is_balanced(text: str) -> bool:
    """True if every quotation in `text` that opens also closes; a lone closing ' is an apostrophe."""
    for quote in _DOUBLE, _SINGLE:
        depth = 0
        for _, step in _quote_marks(text, quote):
            depth = max(depth + step, 0 if quote == _SINGLE else -1)
            if depth < 0:
                return False
        if depth:
            return False
    return True


def _kind(quote: str) -> str:
    return _DOUBLE if quote in _DOUBLE else _SINGLE


def _quote_marks(text: str, quote: str) -> Iterator[tuple[int, int]]:
    """Positions of quotation marks of the same kind as `quote`, with 1 for an opening and -1 for a closing one."""
    kind = _kind(quote)
    for mark in re.finditer(f"[{kind}]", text):
        before, after = text[max(0, mark.start() - 1) : mark.start()], text[mark.end() : mark.end() + 1]
        if kind == _SINGLE and before.isalnum() and after.isalnum():
            continue  # an apostrophe
        straight = after.strip() and (not before.strip() or before in "([—–-" + _DOUBLE + _SINGLE)
        yield mark.start(), 1 if mark[0] in "“‘" or (mark[0] in "\"'" and straight) else -1
