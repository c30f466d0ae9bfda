"""Suggests a mapping for a Qualtrics survey (QSF) and its responses (CSV): questions, people and conditions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from socrates_core.errors import UserError, clipped
from socrates_core.importing.mapping import ConditionSpec, Mapping, StudySpec
from socrates_core.importing.qualtrics.columns import NotAnOutcome, column_meaning
from socrates_core.importing.qualtrics.conditions import Arm, Experiment, find_experiment
from socrates_core.importing.qualtrics.flow import ShownQuestion
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
    holds_texts,
    places,
    read_responses,
)
from socrates_core.importing.qualtrics.survey import Survey, read_survey
from socrates_core.importing.suggest import study_id_of
from socrates_core.importing.table import Table, shortened

__all__ = [
    "Responses",
    "Survey",
    "SurveySuggestion",
    "read_responses",
    "read_survey",
    "suggest_survey",
]

_CONTROL = re.compile(r"\b(control|placebo|baseline|no treatment|status quo)\b", re.IGNORECASE)


@dataclass(frozen=True)
class SurveySuggestion:
    """A suggested mapping and what it leaves out.

    `warnings` are sentences about what was not understood or was left out, in addition to the responses' own;
    `left_out`: column -> why. `randomisers`: key -> arms of each randomizer that could define the conditions; the
    mapping uses those in `taken`.
    """

    mapping: Mapping
    warnings: tuple[str, ...]
    left_out: dict[str, str]
    randomisers: dict[str, str]
    taken: tuple[str, ...]


def suggest_survey(survey: Survey, table: Table, randomisers: Sequence[str] = ()) -> SurveySuggestion:
    """The study in a survey and its responses: conditions, outcomes, demographics, rows to keep.

    `randomisers` are the flow ids of the randomizers whose arms are the conditions; by default the first whose arms the
    export tells apart. Raises UserError if the responses are not this survey's or hold no answers on a scale.
    """
    responses = table if isinstance(table, Responses) else Responses(**vars(table))
    return _Reading(survey, responses, randomisers).suggestion()


class _Reading:
    def __init__(self, survey: Survey, responses: Responses, randomisers: Sequence[str]) -> None:
        self.survey = survey
        self.responses = responses
        self.chosen = randomisers[:2]
        self.where = places(survey, responses)
        if not self.where:
            raise UserError(
                f"No column of the responses belongs to the survey {survey.title!r}. "
                "Give the definition and the responses of the same survey."
            )
        self.experiment: Experiment = find_experiment(survey, responses, randomisers)
        self.demographics = find_demographics(survey, responses)
        self.keep = rows_to_keep(survey, responses)
        self.taken = {keep.column for keep in self.keep}
        self.taken |= {demographic.column for demographic in self.demographics.values()}
        self.as_texts = holds_texts(survey, responses)
        self.reasons: dict[str, str] = {}  # column -> why it is left out, in a few words

    def suggestion(self) -> SurveySuggestion:
        arms = self.experiment.arms
        start = self.experiment.start
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
                f"The responses to {self.survey.title!r} hold no answers on a scale that were given after the "
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
        return SurveySuggestion(
            mapping=mapping,
            warnings=(
                *self.survey.warnings,
                *self.experiment.warnings,
                *notes,
                *self._unread(read),
                *_sentences(left),
            ),
            left_out=left,
            randomisers=self.experiment.usable,
            taken=self.experiment.taken,
        )

    def _entries(self, arm: Arm, start: int) -> list[Entry]:
        """The columns of an arm's outcomes, in the order in which they were asked."""
        columns = dict[tuple[str, str], list[str]]()
        for column, place in self.where.items():
            if column not in self.taken:
                columns.setdefault((place.loop, place.qid), []).append(column)
        entries = []
        for position, shown in enumerate(arm.shown):
            for column in columns.get(shown.place, ()):
                cells = self.responses.frame[column]
                suffix = self.where[column].suffix
                try:
                    meaning = column_meaning(
                        shown.question, suffix, shown.words, cells, as_texts=self.as_texts
                    )
                    if shown.other:
                        raise NotAnOutcome(f"decided by another randomizer ({shown.other})")
                    if position < start:
                        raise NotAnOutcome("asked before the conditions differ")
                    entries.append(Entry(column, shown, meaning))
                except NotAnOutcome as reason:
                    self.reasons[column] = str(reason)
        wordings = dict[str, set[str]]()
        for entry in entries:
            wordings.setdefault(entry.column, set()).add(entry.text)
        several = {column for column, texts in wordings.items() if len(texts) > 1}
        self.reasons |= dict.fromkeys(
            several, "asked in several wordings, and the export does not say who saw which"
        )
        return [entry for entry in entries if entry.column not in several]

    def _texts(self, start: int | None, entries: Sequence[Sequence[Entry]]) -> list[list[ShownQuestion]]:
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

    def _unread(self, read: Sequence[Sequence[ShownQuestion]]) -> list[str]:
        """A warning about texts that belong to no condition."""
        used = {s.text for listed in read for s in listed}
        texts = {
            s.question.tag: s.text for arm in self.experiment.arms for s in arm.shown if s.question.is_text
        }
        unused = [
            tag for tag, text in texts.items() if text and text not in used and not CONSENT.search(text)
        ]
        return [f"Texts that belong to no condition: {shortened(unused)}."] if unused else []

    def _notes(self, unknown: set[str], *, moved: bool) -> list[str]:
        """What a reader of the study should know about its texts."""
        notes = []
        if unknown:
            pipes = shortened(sorted(unknown))
            notes.append(f"Words that differ from person to person are in brackets in the texts: {pipes}.")
        if moved:
            notes.append("The paragraph that differs between conditions was moved in front of the questions.")
        if len(self.experiment.arms) > 1 and self.experiment.start is None:
            notes.append(
                "The survey's texts are the same in every condition. Write what people in each condition read."
            )
        return notes

    def _left_out(self, used: set[str]) -> dict[str, str]:
        """Every column that the mapping does not use, with the reason in a few words."""
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
    """A sentence for each reason, which names the first columns that it leaves out."""
    by_reason = dict[str, list[str]]()
    for column, reason in left_out.items():
        by_reason.setdefault(reason, []).append(column)
    return [f"Left out: {shortened(columns)} ({reason})." for reason, columns in by_reason.items()]
