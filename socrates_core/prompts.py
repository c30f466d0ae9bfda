"""What a model is asked, word for word as SocSci210 asks it (Kolluri et al. 2025, arXiv 2509.05830)."""

import re
from collections.abc import Mapping

from socrates_core.personas import render_profile
from socrates_core.records import Prompt
from socrates_core.scales.instructions import instruction_start

TEMPLATE = "socsci210-v1"
SYSTEM = (
    "You are simulating a survey respondent. Answer exactly as instructed, following the specified "
    "response format without additional commentary."
)
_USER = """You are a survey respondent with the following demographic profile:
{profile}

Read the question below and answer exactly as this person would. Follow the response instructions precisely.

{stimulus}"""
_READ = re.compile(r"\AYou read [\"“]")
_ASKED = re.compile(r"[\"”] and then were asked: [\"“]")
_ONLY_ASKED = re.compile(r"\AYou were asked: [\"“]")


def render_prompt(demographics: Mapping[str, str | int], stimulus: str) -> Prompt:
    """The exact messages for one person and one stimulus; missing demographics are left out."""
    return Prompt(SYSTEM, _USER.format(profile=render_profile(demographics), stimulus=stimulus))


def render_stimulus(condition_text: str, question: str, instruction: str) -> str:
    """What a person reads: the condition, the question and the response instruction. Empty parts are left out."""
    condition = condition_text.strip()
    if not question.strip():
        return f"{condition} {instruction}".strip()
    asked = f"{question.strip()} {instruction}".strip()
    return (
        f'You read "{condition}" and then were asked: "{asked}"'
        if condition
        else f'You were asked: "{asked}"'
    )


def split_stimulus(stimulus: str) -> tuple[str, str]:
    """The condition's text and the question, without the instruction: what `render_stimulus` put together.

    A stimulus of any other build is a condition as a whole, with an empty question.
    """
    start = instruction_start(stimulus)
    told = stimulus[:start].strip()
    if start is None or not stimulus.rstrip().endswith(
        ('"', "”")
    ):  # the quotation closes before the instruction
        told_of_question = told[:-1].rstrip() if told.endswith(('"', "”")) else told
    else:
        told_of_question = told
    read, asked = _READ.match(told), _ASKED.search(told)
    if read and asked:
        return told[read.end() : asked.start()].strip(), told_of_question[asked.end() :].strip()
    only = _ONLY_ASKED.match(told)
    if only and "were asked:" not in told[only.end() :]:
        return "", told_of_question[only.end() :].strip()
    return told, ""
