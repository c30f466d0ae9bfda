"""A Qualtrics survey (QSF) with its responses (CSV) as a mapping: what was asked, of whom, under which condition."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from socrates_core.errors import UserError, clipped
from socrates_core.importing.mapping import ConditionSpec, Mapping, StudySpec
from socrates_core.importing.qualtrics.conditions import Arm, Experiment, find_experiment
from socrates_core.importing.qualtrics.flow import Shown
from socrates_core.importing.qualtrics.outcomes import (
    CONSENT,
    Entry,
    condition_texts,
    matched,
    outcome_of,
    paragraphs_apart,
    scales_differ,
)
from socrates_core.importing.qualtrics.people import (
    find_demographics,
    is_consent,
    participant_column,
    rows_to_keep,
)
from socrates_core.importing.qualtrics.responses import (
    ARM_OF,
    RECORD,
    Responses,
    places,
    read_responses,
    speaks,
)
from socrates_core.importing.qualtrics.scales import NotAsked, asked
from socrates_core.importing.qualtrics.survey import Survey, read_survey
from socrates_core.importing.record import Table, shortened
from socrates_core.importing.suggest import study_id_of

__all__ = [
    "Responses",
    "Survey",
    "Understood",
    "read_responses",
    "read_survey",
    "suggest_survey",
    "understand",
]

_CONTROL = re.compile(r"\b(control|placebo|baseline|no treatment|status quo)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Understood:
    """A suggested mapping with all that it does not speak of.

    `warnings` are sentences about what was not understood or was left out, beside the responses' own;
    `left_out`: column -> why. `randomisers`: key -> arms of each that could tell the conditions; `taken` are theirs.
    """

    mapping: Mapping
    warnings: tuple[str, ...]
    left_out: dict[str, str]
    randomisers: dict[str, str]
    taken: tuple[str, ...]


def suggest_survey(survey: Survey, table: Table, randomisers: Sequence[str] = ()) -> Mapping:
    """The mapping alone of `understand`."""
    return understand(survey, table, randomisers).mapping


def understand(survey: Survey, table: Table, randomisers: Sequence[str] = ()) -> Understood:
    """The study that a survey and its responses are: conditions, outcomes, demographics, rows to keep.

    `randomisers` are the flow ids of those whose arms are the conditions; without them the first that the
    export tells apart. Raises UserError where the responses are not this survey's or hold no answers on a scale.
    """
    responses = table if isinstance(table, Responses) else Responses(**vars(table))
    return _Reading(survey, responses, randomisers).understood()


class _Reading:
    def __init__(self, survey: Survey, responses: Responses, randomisers: Sequence[str]) -> None:
        self.survey, self.responses, self.chosen = survey, responses, randomisers[:2]
        self.where = places(survey, responses)
        if not self.where:
            raise UserError(
                f"No column of the responses belongs to the survey {survey.title!r}. "
                "Give the survey definition and the responses of one survey."
            )
        self.experiment: Experiment = find_experiment(survey, responses, randomisers)
        self.demographics = find_demographics(survey, responses)
        self.keep = rows_to_keep(survey, responses)
        self.taken = {each.column for each in self.keep} | {
            each.column for each in self.demographics.values()
        }
        self.spoken = speaks(survey, responses)
        self.reasons: dict[str, str] = {}  # column -> why it is left out, in a few words

    def understood(self) -> Understood:
        arms, start = self.experiment.arms, self.experiment.start
        names = [arm.name for arm in arms]
        entries = [self._entries(arm, start or 0) for arm in arms]
        groups = []
        for group in matched(entries):
            if scales_differ(group):
                for entry in group.values():
                    self.reasons[entry.column] = "its answers differ between conditions"
            else:
                groups.append(group)
        if not groups:
            raise UserError(
                f"The responses hold no answers on a scale that people of {self.survey.title!r} gave after the "
                f"conditions differ. {clipped(' '.join(_sentences(self._left_out(set()))), 400)}"
            )
        apart, rest = paragraphs_apart(groups, len(arms))
        read = self._texts(start, entries)
        texts = ["\n".join(dict.fromkeys(s.text for s in listed)) for listed in read]
        if apart:
            texts = ["\n".join(filter(None, pair)) for pair in zip(texts, apart, strict=True)]
        taken = set[str]()
        outcomes = tuple(outcome_of(group, names, rest.get(n), taken) for n, group in enumerate(groups))
        met = [entry.shown for group in groups for entry in group.values()]
        unknown = {
            pipe for shown in (*met, *(s for listed in read for s in listed)) for pipe in shown.unknown
        }
        notes = self._notes(unknown, moved=bool(apart))
        whole = (
            not unknown and not apart and not any("[picture" in text or "[video" in text for text in texts)
        )
        mapping = Mapping(
            study=StudySpec(
                study_id=study_id_of(self.survey.title)
                + "".join(f"-{study_id_of(key)}" for key in self.chosen),
                title=" ".join([self.survey.title, *self.chosen]),
                source=f"Qualtrics survey {self.survey.survey_id}".strip(),
                wording="instrument" if whole else "partly",
                reference=next((name for name in names if _CONTROL.search(name)), "")
                if len(names) > 1
                else "",
                notes=tuple(notes),
            ),
            participant=participant_column(self.responses),
            demographics=self.demographics,
            conditions=tuple(
                ConditionSpec(name=arm.name, text=text, when=arm.when)
                for arm, text in zip(arms, texts, strict=True)
            ),
            outcomes=outcomes,
            keep=tuple(self.keep),
        )
        left = self._left_out(set(mapping.columns()))
        told = (*self.survey.warnings, *self.experiment.warnings, *notes, *self._unread(read))
        chosen = self.experiment
        return Understood(mapping, (*told, *_sentences(left)), left, chosen.usable, chosen.taken)

    def _entries(self, arm: Arm, start: int) -> list[Entry]:
        """The columns of the outcomes of an arm, in the order in which they were asked."""
        columns = dict[tuple[str, str], list[str]]()
        for column, place in self.where.items():
            if column not in self.taken:
                columns.setdefault((place.loop, place.qid), []).append(column)
        found = []
        for position, shown in enumerate(arm.shown):
            for column in columns.get(shown.place, ()):
                cells, suffix = self.responses.frame[column], self.where[column].suffix
                try:
                    what = asked(shown.question, suffix, shown.words, cells, spoken=self.spoken)
                    if shown.other:
                        raise NotAsked(f"decided by another randomiser ({shown.other})")
                    if position < start:
                        raise NotAsked("asked before the conditions differ")
                    found.append(Entry(column, shown, what))
                except NotAsked as reason:
                    self.reasons[column] = str(reason)
        wordings = dict[str, set[str]]()
        for entry in found:
            wordings.setdefault(entry.column, set()).add(entry.text)
        several = {column for column, texts in wordings.items() if len(texts) > 1}
        self.reasons |= dict.fromkeys(several, "asked in several wordings, and nothing says who met which")
        return [entry for entry in found if entry.column not in several]

    def _texts(self, start: int | None, entries: Sequence[Sequence[Entry]]) -> list[list[Shown]]:
        """What the conditions read before the outcomes."""
        arms = self.experiment.arms
        if start is None:
            return [[] for _ in arms]
        before = {
            (self.where[column].loop, self.where[column].qid)
            for column, reason in self.reasons.items()
            if reason.startswith(("asked before", "its answers differ"))
        }
        before |= {
            (self.where[column].loop, self.where[column].qid) for column in self.taken & set(self.where)
        }
        places_asked = [before | {entry.shown.place for entry in listed} for listed in entries]
        return condition_texts([arm.shown for arm in arms], start, places_asked)

    def _unread(self, read: Sequence[Sequence[Shown]]) -> list[str]:
        """A sentence about the texts that stand in no condition."""
        used = {s.text for listed in read for s in listed}
        texts = {
            s.question.tag: s.text for arm in self.experiment.arms for s in arm.shown if s.question.is_text
        }
        unused = [
            tag for tag, text in texts.items() if text and text not in used and not CONSENT.search(text)
        ]
        return [f"Texts that stand in no condition: {shortened(unused)}."] if unused else []

    def _notes(self, unknown: set[str], *, moved: bool) -> list[str]:
        """What a reader of the study should know about its texts."""
        notes = []
        if unknown:
            pipes = shortened(sorted(unknown))
            notes.append(f"Words that depended on the person stand in brackets in the texts: {pipes}.")
        if moved:
            notes.append("The paragraph that differs between conditions was moved in front of the questions.")
        if len(self.experiment.arms) > 1 and self.experiment.start is None:
            notes.append(
                "Nothing in the survey's texts differs between the conditions; write what each one read."
            )
        return notes

    def _left_out(self, used: set[str]) -> dict[str, str]:
        """Every column that the mapping does not speak of, with the reason in a few words."""
        columns = [column for column in map(str, self.responses.frame) if column not in used]
        return {column: self.reasons.get(column) or self._reason(column) for column in columns}

    def _reason(self, column: str) -> str:
        name = self.responses.ids.get(column) or column
        if column in self.where:
            question = self.survey.questions[self.where[column].qid]
            return "about consent" if is_consent(question) else "not in the survey's flow"
        if re.sub(r"[\W_]|\(.*", "", name).casefold() in RECORD:
            return "recorded by Qualtrics itself"
        if column.startswith(ARM_OF):
            return "worked out from the answers"
        return "display order" if re.search(r"_DO(_|$)", f"{column} {name}") else "no question of this survey"


def _sentences(left_out: dict[str, str]) -> list[str]:
    """A sentence a reason, naming the first columns that it left out."""
    by_reason = dict[str, list[str]]()
    for column, reason in left_out.items():
        by_reason.setdefault(reason, []).append(column)
    return [f"Left out: {shortened(columns)} ({reason})." for reason, columns in by_reason.items()]
