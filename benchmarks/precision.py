"""How far each number format moves answers, means and effects from fp32, on a real study.

    python -m benchmarks.precision [--quick]

Total variation is per person and cell; means and effects are of the panel, in shares of the scale's range.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np

from socrates_core.corpus import open_corpus
from socrates_core.models import answer_all, open_responder
from socrates_core.populations.panel import draw_panel
from socrates_core.projects.run_spec import PersonQuestion, questions
from socrates_core.records import Answer, Floats, Precision
from socrates_core.surveys.start import draft_from_study

STUDY = "talor"
FORMATS: tuple[Precision, ...] = ("fp32", "bf16", "nf4")


@dataclass(frozen=True)
class Measured:
    """The answers in one number format, the panel's mean of every cell [conditions, outcomes], and seconds a prompt."""

    answers: list[Answer]
    means: Floats
    seconds: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="4 people instead of 20")
    n_people = 4 if arguments.parse_args().quick else 20
    draft = draft_from_study(open_corpus("starter"), STUDY)
    panel = draft.panel.model_copy(update={"n": n_people, "seed": 1})
    asked = list(questions(draft, tuple(draw_panel(panel))))
    found = {precision: measure(asked, precision) for precision in FORMATS}
    exact = found["fp32"]
    print(f"{STUDY!r}, {n_people} people, {len(asked)} person-cells, starter model, against fp32")
    print(
        f"{'':6}{'prompts/s':>11}{'TV mean':>10}{'TV max':>9}{'mean max':>10}{'effect max':>12}{'largest effect':>16}"
    )
    for precision, each in found.items():
        apart = [
            np.abs(a.probabilities - b.probabilities).sum() / 2
            for a, b in zip(each.answers, exact.answers, strict=True)
        ]
        effects, true = (part.means - part.means[:1] for part in (each, exact))
        print(
            f"{precision:6}{1 / each.seconds:11.2f}{np.mean(apart):10.4f}{np.max(apart):9.4f}"
            f"{np.abs(each.means - exact.means).max():10.4f}{np.abs(effects - true).max():12.4f}"
            f"{np.abs(effects).max():16.4f}"
        )


def measure(asked: list[PersonQuestion], precision: Precision) -> Measured:
    responder = open_responder("starter", precision=precision)
    begun = time.perf_counter()
    answers = answer_all(responder, [each.question for each in asked])
    seconds = (time.perf_counter() - begun) / len(asked)
    shape = [1 + max(getattr(each, part) for each in asked) for part in ("condition", "outcome")]
    sums, counts = np.zeros(shape), np.zeros(shape)
    for each, answer in zip(asked, answers, strict=True):
        values = np.array([float(option) for option in each.question.options])
        sums[each.condition, each.outcome] += answer.probabilities @ (values - values.min()) / np.ptp(values)
        counts[each.condition, each.outcome] += 1
    return Measured(answers, sums / counts, seconds)


if __name__ == "__main__":
    main()
