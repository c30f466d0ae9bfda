"""Who saw what: the arms of a survey's randomizers, and what the people of an arm were shown, in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from socrates_core.errors import UserError
from socrates_core.importing.qualtrics.survey import Json, Question, Step, Survey, as_dict
from socrates_core.importing.qualtrics.text import fill_pipes

MAX_ARMS = 16
MAX_SHOWN = 20_000


@dataclass(frozen=True)
class ShownQuestion:
    """A question or text as people in one condition saw it.

    `words` fill the pipes in its choices. `sure` is False if the person decides whether it is shown; `other` names a
    randomizer outside the experiment that decides about it or its text.
    """

    question: Question
    loop: str
    text: str
    words: Mapping[str, str]
    unknown: tuple[str, ...] = ()
    sure: bool = True
    other: str = ""

    @property
    def place(self) -> tuple[str, str]:
        return self.loop, self.question.qid


def randomisers(survey: Survey) -> list[Step]:
    """The steps that show each person one of several arms, in the order of the flow."""
    return [
        step for step in survey.flow.walk() if step.kind == "Randomizer" and step.shown == 1 < len(step.steps)
    ]


def crossed_with(survey: Survey, first: Step, usable: Sequence[Step]) -> list[Step]:
    """`first` with later usable randomizers at its level of the flow: a factorial design of at most MAX_ARMS arms."""
    level = next((step.steps for step in survey.flow.walk() if first in step.steps), (first,))
    crossed = [first]
    n_arms = len(first.steps)
    for step in level[level.index(first) + 1 :]:
        if step in usable and n_arms * len(step.steps) <= MAX_ARMS:
            crossed.append(step)
            n_arms *= len(step.steps)
    return crossed


def arm_names(survey: Survey, randomiser: Step) -> list[str]:
    """What the arms are called: their own names, their block's, or the embedded data that tells them apart."""
    telling = telling_field(randomiser)
    names = []
    for step in randomiser.steps:
        inside = [survey.blocks[part.block].name for part in step.walk() if part.block in survey.blocks]
        value = dict(fields_of(step)).get(telling, "")
        if telling and not any(letter.isalpha() for letter in value):
            value = f"{telling} = {value}"
        question = survey.questions.get(step.question)
        name = step.name if step.kind != "Branch" else ""
        tag = question.tag if question else ""
        names.append(name or tag or next(iter(inside), "") or value or step.key)
    return [name if names.count(name) == 1 else f"{name} ({i + 1})" for i, name in enumerate(names)]


def telling_field(randomiser: Step) -> str:
    """The embedded data that every arm sets to another value; empty if there is none."""
    arms = [dict(fields_of(step)) for step in randomiser.steps]
    return next(
        (
            name
            for name in arms[0]
            if len({arm.get(name) for arm in arms}) == len(arms) and all(arm.get(name) for arm in arms)
        ),
        "",
    )


def fields_of(step: Step) -> list[tuple[str, str]]:
    """The embedded data that a step or a step inside it sets."""
    return [pair for part in step.walk() for pair in part.fields]


def combinations(experiment: Sequence[Step]) -> list[dict[str, int]]:
    """Every way through the experiment: randomizer key -> position of the arm."""
    keys = [step.key for step in experiment]
    return [
        dict(zip(keys, arms, strict=True)) for arms in product(*(range(len(s.steps)) for s in experiment))
    ]


def shown_in(survey: Survey, arms: Mapping[str, int]) -> list[ShownQuestion]:
    """Everything that the people of these arms were or may have been shown, in order."""
    return _Walk(survey, arms).shown


class _Walk:
    def __init__(self, survey: Survey, arms: Mapping[str, int]) -> None:
        self.survey = survey
        self.arms = arms
        self.shown: list[ShownQuestion] = []
        self.known = {f"q://{qid}": question.tag for qid, question in survey.questions.items()}
        self.drawn = dict[str, str]()  # "Field/name" -> the randomizer that sets it
        self.visit(survey.flow, sure=True, other="")

    def visit(self, step: Step, *, sure: bool, other: str) -> None:
        holds = logic_holds(step.logic, self.known)
        if holds is False:
            return
        sure = sure and holds is True
        for name, value in step.fields:
            self.set(f"Field/{name}", fill_pipes(value, self.known).text, sure=sure, other=other)
        if step.question in self.survey.questions:
            self.meet(self.survey.questions[step.question], "", {}, sure=sure, other=other)
        block = self.survey.blocks.get(step.block)
        for loop, words in (block.loops or {"": {}}).items() if block else ():
            for qid in block.questions if block else ():
                self.meet(self.survey.questions[qid], loop, words, sure=sure, other=other)
        inside = step.steps
        if step.kind == "Randomizer" and step.shown < len(inside):
            if step.key in self.arms:
                inside = (inside[self.arms[step.key]],)
            else:
                other = step.key
        for part in inside:
            self.visit(part, sure=sure, other=other)

    def set(self, name: str, value: str, *, sure: bool, other: str) -> None:
        self.known.pop(name, None)
        self.drawn[name] = other
        # A value that only some people of these arms got is known for none.
        if sure and not other:
            self.known[name] = value

    def meet(
        self, question: Question, loop: str, words: Mapping[str, str], *, sure: bool, other: str
    ) -> None:
        holds = logic_holds(as_dict(question.payload.get("DisplayLogic")), self.known)
        if holds is False:
            return
        if len(self.shown) == MAX_SHOWN:
            raise UserError(
                f"The survey shows one person more than {MAX_SHOWN:,} questions, so it cannot be read."
            )
        all_words = {
            **self.known,
            **{name: fill_pipes(text, self.known).text for name, text in words.items()},
        }
        filled = fill_pipes(question.text, all_words)
        drawn = next((self.drawn[name] for name in filled.unknown if self.drawn.get(name)), "")
        self.shown.append(
            ShownQuestion(
                question, loop, filled.text, all_words, filled.unknown, sure and holds is True, other or drawn
            )
        )


def logic_holds(logic: Json, known: Mapping[str, str]) -> bool | None:
    """Whether display or branch logic holds, given embedded data; None if it depends on more."""
    whole: bool | None = None
    for position, group in enumerate(_numbered(logic)):
        inside: bool | None = None
        expressions = _numbered(group)
        for place, expression in enumerate(expressions):
            value = _expression(expression, known)
            inside = value if place == 0 else _joined(inside, value, str(expression.get("Conjuction")))
        joint = str(group.get("Type")) + str(expressions[0].get("Conjuction") if expressions else "")
        whole = inside if position == 0 else _joined(whole, inside, joint)
    return whole if _numbered(logic) else True


def _numbered(logic: Json) -> list[Json]:
    return [as_dict(value) for key, value in logic.items() if key.isdigit()]


def _joined(left: bool | None, right: bool | None, joint: str) -> bool | None:
    decisive = "or" in joint.lower()  # "Or", "OrIf": one true part is enough
    if decisive in (left, right):
        return decisive
    return None if None in (left, right) else not decisive


def _expression(expression: Json, known: Mapping[str, str]) -> bool | None:
    name = f"Field/{expression.get('LeftOperand')}"
    if expression.get("LogicType") != "EmbeddedField" or name not in known:
        return None
    equal = known[name].strip() == str(expression.get("RightOperand", "")).strip()
    return {"EqualTo": equal, "NotEqualTo": not equal}.get(str(expression.get("Operator")))
