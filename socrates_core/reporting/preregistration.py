"""A preregistration for the person to complete: what the draft says is filled in, every decision is a marked gap.

Fields are those of the OSF Preregistration template (doi:10.31222/osf.io/epgjd) and of AsPredicted (aspredicted.org).
Hypotheses are never written here: a predicted effect is a reason to ask people, not the person's hypothesis.
"""

import re

from socrates_core.projects.run_results import SimulationRun
from socrates_core.records import crossing_sentence
from socrates_core.reporting.numbers import Numbers
from socrates_core.scales import render_instruction

Fields = list[tuple[str, str]]  # heading, answer


def gap(what: str) -> str:
    """A gap that only the person can fill."""
    return f"**[YOU WRITE: {what}]**"


def render_osf(run: SimulationRun, numbers: Numbers) -> str:
    """The fields of the OSF Preregistration template as Markdown."""
    draft = run.spec.draft
    fields: Fields = [
        ("Title", quoted(draft.title)),
        ("Authors", gap("authors and affiliations")),
        ("Description", gap("purpose and background in a few sentences")),
        ("Hypotheses", _hypotheses()),
        ("Study type", "Experiment: people are assigned to conditions. " + gap("confirm")),
        ("Blinding", gap("who is not aware of which condition a person is in")),
        (
            "Study design",
            f"{_count(run)} {_design(run)} Each condition is compared with the reference. "
            + gap("confirm; order of the outcomes"),
        ),
        ("Randomization", gap("how people are assigned to conditions")),
        ("Existing data", f"{_existing(run)} " + gap("the option that is true on the day of registration")),
        ("Explanation of existing data", gap("what you have seen, the predictions of this folder included")),
        ("Data collection procedures", gap("population, recruitment, payment, dates, inclusion criteria")),
        ("Sample size", _sample_size(run)),
        ("Sample size rationale", gap("the power analysis")),
        ("Stopping rule", gap("when collection ends")),
        ("Manipulated variables", _conditions(run)),
        ("Measured variables", _outcomes(run)),
        ("Indices", "None in the draft. " + gap("confirm, or how measures are combined")),
        ("Statistical models", _analysis()),
        ("Transformations", "None in the draft. " + gap("confirm, or name them")),
        ("Inference criteria", gap("alpha, one- or two-sided, correction over outcomes and conditions")),
        ("Data exclusion", gap("who or what is left out, attention checks")),
        ("Missing data", gap("what happens with unfinished answers")),
        ("Exploratory analysis", _screening(run, numbers)),
        ("Other", _provenance(run)),
    ]
    return _render("Preregistration draft in the fields of the OSF Preregistration template", fields)


def render_aspredicted(run: SimulationRun, numbers: Numbers) -> str:
    """The questions of AsPredicted as Markdown."""
    fields: Fields = [
        (
            "1) Data collection: have any data been collected for this study already?",
            f"{_existing(run)} " + gap("yes, no, or it is complicated"),
        ),
        ("2) Hypothesis: the main question or hypothesis", _hypotheses()),
        ("3) Dependent variable(s): what is measured and how", _outcomes(run)),
        ("4) Conditions: how many and which", _conditions(run)),
        ("5) Analyses: which exactly", _analysis()),
        ("6) Outliers and exclusions", gap("the precise rules")),
        ("7) Sample size: how many, or what decides it", _sample_size(run)),
        ("8) Other: anything else to preregister", f"{_screening(run, numbers)}\n\n{_provenance(run)}"),
        ("9) Name: a title", quoted(run.spec.draft.title)),
        ("Type and source", gap("type of study, where the people come from")),
    ]
    return _render("Preregistration draft in the questions of AsPredicted", fields)


def quoted(text: str) -> str:
    """Study text in a block that shows it as it is, even if it contains Markdown."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.strip()}\n{fence}"


def _render(title: str, fields: Fields) -> str:
    blocks = [
        f"# {title}",
        "Not registered. Fill in every marked gap and read every line before you register.",
    ]
    return "\n\n".join(blocks + [f"## {heading}\n\n{answer}" for heading, answer in fields]) + "\n"


def _hypotheses() -> str:
    return gap(
        "each hypothesis with its direction. No hypothesis is suggested here; predicted effects are listed as "
        "exploratory screening and become hypotheses only if your theory supports them"
    )


def _design(run: SimulationRun) -> str:
    """How people will be assigned, and the factors that cross the conditions."""
    draft = run.spec.draft
    sees = "all conditions" if draft.assignment == "within" else "one condition"
    crossing = crossing_sentence(draft.design.factors)
    return f"Each person sees {sees}." + (
        f" Conditions are crossed:\n\n{quoted(crossing)}\n\n" if crossing else ""
    )


def _count(run: SimulationRun) -> str:
    draft = run.spec.draft
    return f"{len(draft.conditions)} conditions and {len(draft.outcomes)} outcomes."


def _conditions(run: SimulationRun) -> str:
    draft = run.spec.draft
    blocks = [_count(run)]
    for c, condition in enumerate(draft.conditions):
        mark = ", the reference" if c == draft.reference_index else ""
        blocks += [
            f"Condition {c + 1}{mark}:",
            quoted(f"{condition.name}\n\n{condition.text.strip() or '(no text)'}"),
        ]
    return "\n\n".join(blocks)


def _outcomes(run: SimulationRun) -> str:
    blocks = []
    for o, outcome in enumerate(run.spec.draft.outcomes):
        question = outcome.question.strip() or "(asked within the condition's text)"
        blocks += [
            f"Outcome {o + 1}:",
            quoted(f"{outcome.name}\n\n{question}\n{render_instruction(outcome.scale.scale())}"),
        ]
    return "\n\n".join([*blocks, gap("which outcome is primary")])


def _existing(run: SimulationRun) -> str:
    n_answered = sum(cell.counts is not None for cell in run.cells)
    sentence = "The answers in this folder are a language model's predictions, not data of people."
    if n_answered:
        sentence += (
            f" People of the study {run.people_study!r} answered {n_answered} of {len(run.cells)} cells "
            "word for word; their answers are in this folder, so those cells are not new."
        )
    return sentence


def _sample_size(run: SimulationRun) -> str:
    return (
        f"The {len(run.spec.people)} simulated people of the screening do not inform it: adding them is free and adds "
        "no certainty about people. "
        + gap(
            "people per condition, from a power analysis on the smallest "
            "effect that would matter to you; do not base it on a raw predicted effect"
        )
    )


def _analysis() -> str:
    return (
        "Per outcome, the difference in means between each condition and the reference with its 95% interval "
        "(Welch; paired where the same people answer both). " + gap("confirm or replace; covariates")
    )


def _screening(run: SimulationRun, numbers: Numbers) -> str:
    draft = run.spec.draft
    rows = []
    for o in range(len(draft.outcomes)):
        for c in range(len(draft.conditions)):
            if c != draft.reference_index and numbers.get("effect_n", o, c) > 0:
                rows.append(f"| {o + 1} | {c + 1} | {numbers.get('effect', o, c):+.2f} |")
    return "\n".join(
        [
            "Exploratory screening basis, not a confirmatory prediction: differences in means that a language model "
            "predicted, in scale points, without an interval, because its error on studies it has not seen is not "
            "measured here. Screening, not a replacement for people.",
            "",
            "| outcome | condition | predicted difference from the reference |",
            "|---|---|---|",
            *rows,
        ]
    )


def _provenance(run: SimulationRun) -> str:
    return (
        f"Screened before this registration with Socrates, run `{run.spec.run_id}`, specification "
        f"SHA-256 `{run.spec.content_digest()}`, answers written {run.manifest['written']}."
    )
