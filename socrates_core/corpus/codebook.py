"""Writes the codebook of an exported file as Markdown: source, texts, scales, codes and counts."""

from collections.abc import Iterator, Sequence

from socrates_core.corpus.labelled import MOST_CODES, Variable, variables
from socrates_core.corpus.queries import Corpus
from socrates_core.records import Scale, Stimulus
from socrates_core.scales.rendering import number_text

_COLUMNS = """\
One row for each answer, in SocSci210's columns (arXiv 2509.05830).

- `study_id`, `sample_id`: together the key of a row
- `participant`: a person within the study
- `demographic`: the person's profile, sixteen fields, null where unknown (JSON text in a CSV file)
- `condition_num`, `task_num`: condition and outcome; the codes are listed below
- `stimuli`: what the person was shown and asked, word for word
- `response`: the answer as observed, answers off the stated scale included
- `prompt`: what a model is asked for this person; `reasoning`: empty
"""
_WIDE = f"""\
One row for each person and condition.

- `participant`: a person; `condition`: the condition, its codes are listed below
- the demographic fields that are known, in words
- one variable for each outcome, the answer as observed; if somebody answered the same stimulus twice, the first
  answer; in an SPSS file values off the scale are missing codes if there are at most {MOST_CODES} of them
"""


def render_codebook(corpus: Corpus, study_ids: Sequence[str], *, wide: bool) -> str:
    """The codebook of a file of these studies; `wide` for a row for each person, or else for each answer."""
    lines = ["# Codebook", "", _WIDE if wide else _COLUMNS]
    for study_id in study_ids:
        lines += _study(corpus, study_id, wide=wide)
    return "\n".join(lines) + "\n"


def _study(corpus: Corpus, study_id: str, *, wide: bool) -> Iterator[str]:
    study = corpus.study(study_id)
    yield f"## {study_id}: {_line(study.title)}\n"
    described = {
        "Source": study.source,
        "Link": study.url,
        "Licence": study.licence,
        "Design": f"{study.design} people",
        "Wording": {"instrument": "the instrument's own", "rebuilt": "rebuilt from a description"}.get(
            study.wording, "partly the instrument's own"
        ),
        "People": f"{study.n_participants:,}",
        "Answers": f"{study.n_responses:,}",
    }
    yield from (f"- {name}: {_line(text)}" for name, text in described.items() if text)
    yield from (f"- Note: {_line(note)}" for note in study.notes)
    yield "\n### Conditions\n"
    stimuli = corpus.stimuli(study_id)
    conditions = {s.condition_num: s for s in reversed(stimuli)}
    for number, stimulus in sorted(conditions.items()):
        yield f"- {number} = {_line(stimulus.condition_name)}: {_line(stimulus.condition_text) or '(no text)'}"
    yield "\n### Outcomes\n"
    for variable in variables(corpus, study_id):
        yield from _outcome(variable, wide=wide)
    yield ""


def _outcome(variable: Variable, *, wide: bool) -> Iterator[str]:
    first = variable.stimuli[0]
    name = f"`{variable.name}`" if wide else f"task {first.task_num}"
    yield f"- {name}, {_line(first.outcome_name)}: {_line(first.question) or '(asked within the condition)'}"
    for scale, stimuli in _by_scale(variable.stimuli).items():
        where = (
            "" if len(stimuli) == len(variable.stimuli) else f" in condition {', '.join(map(str, stimuli))}"
        )
        yield f"  - scale{where}: {_scale(scale)}"
    if variable.off_scale:
        codes = [number_text(value) for value in variable.off_scale[:20]]
        yield f"  - answered but off the scale: {', '.join(codes)}{' …' if len(variable.off_scale) > 20 else ''}"


def _by_scale(stimuli: Sequence[Stimulus]) -> dict[Scale, list[int]]:
    conditions = dict[Scale, list[int]]()
    for stimulus in stimuli:
        conditions.setdefault(stimulus.scale, []).append(stimulus.condition_num)
    return conditions


def _scale(scale: Scale) -> str:
    labels = "; ".join(f"{number_text(value)} = {_line(text)}" for value, text in scale.labels)
    if scale.low is None or scale.high is None:
        return "an open number"
    ends = f"{number_text(scale.low)} to {number_text(scale.high)}"
    step = f" in steps of {number_text(scale.step)}" if scale.step != 1 else ""
    return f"{ends}{step}{': ' if labels else ''}{labels}"


def _line(text: str) -> str:
    return " ".join(text.split())
