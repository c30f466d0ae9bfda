"""How often a question in a scientist's own words finds the right study among the first five rows.

    SOCRATES_HOME=FOLDER python -m benchmarks.search [--held-out]

The questions are those of tests/fixtures/search_questions.yaml. Every third was used to tune the search; with
--held-out the others are tried too. Questions that no study of the home answers are left out.
"""

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import yaml

from socrates_core.corpus.search import search
from socrates_core.corpus.store import corpora, open_corpus

QUESTIONS = Path(__file__).parents[1] / "tests" / "fixtures" / "search_questions.yaml"
ROWS = 5
TUNED_EVERY = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--held-out", action="store_true", help="also try the questions that tuned nothing")
    options = parser.parse_args()
    names = corpora()
    known = {study for name in names for study in open_corpus(name).study_ids()}
    questions = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))["questions"]
    print(f"{len(known)} studies")
    _try("tuned on", questions[::TUNED_EVERY], names, known)
    if options.held_out:
        held_out = [question for at, question in enumerate(questions) if at % TUNED_EVERY]
        _try("held out", held_out, names, known)


def _try(kind: str, questions: list[dict[str, Any]], names: list[str], known: set[str]) -> None:
    """Prints the rank of each question's best right study, and how many are in the first rows."""
    n = n_found = 0
    seconds = []
    for entry in questions:
        right = known.intersection(entry["studies"])
        if not right:
            continue
        question = str(entry["question"])
        start = time.perf_counter()
        rows = [hit.study_id for hit in search(question, names)]
        seconds.append(time.perf_counter() - start)
        rank = next((at for at, study in enumerate(rows, 1) if study in right), None)
        n += 1
        n_found += rank is not None and rank <= ROWS
        print(f"{rank or '-':>4}  {question}  [{', '.join(rows[:ROWS])}]")
    print(
        f"{kind}: {n_found} of {n} in the first {ROWS} rows; median {1000 * statistics.median(seconds):.0f} ms a search"
    )


if __name__ == "__main__":
    main()
