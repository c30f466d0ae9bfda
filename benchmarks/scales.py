"""Times the reading of instructions: hostile texts as long as any that is read, and real stimuli where given.

    python benchmarks/scales.py [STIMULI.parquet]

Prints one JSON value: milliseconds a text, the slowest of the hostile ones by name.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from socrates_core.prompts import split_stimulus
from socrates_core.scales import parse_scale
from socrates_core.scales.instructions import LONGEST

OPENINGS = (
    "Only return ",
    "Only return 1 for '",
    "Only return an integer from 1 to 7, where 1 means ",
    "Only return 1 for a, up to 2 if b, nothing else ",
)
PIECES = (
    "1 ",
    "1 for 'a ",
    "'",
    '"',
    "(",
    "[",
    " ",
    "\n",
    "1, ",
    "1=a;",
    "1:a ",
    "from 1 (",
    "from 1 (a(b)",
    "7 ;",
    "and or ",
    "a 1 ",
    "1,000,",
    "-",
    "$",
    "1 (",
    "), 2 (",
    "a b ",
    "only return ",
    "nothing else ",
    "minus ",
    ".5",
    "1=“a”",
    "\u200f",
)


def hostile_texts() -> Iterator[str]:
    """Every opening followed by one piece over and over, as long as an instruction may be."""
    for opening in OPENINGS:
        for piece in PIECES:
            yield opening + piece * ((LONGEST - len(opening)) // len(piece))


def milliseconds(read: Callable[[str], object], text: str) -> float:
    """The best of five runs: what the work takes, not what else the machine does."""
    times = []
    for run in range(5):
        changed = f"{text} {run}"  # readings of one text are remembered
        started = time.perf_counter()
        read(changed)
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


def main(stimuli: Path | None) -> None:
    told: dict[str, object] = {}
    for read in (parse_scale, split_stimulus):
        slowest = sorted(((milliseconds(read, text), text[:70]) for text in hostile_texts()), reverse=True)
        told[f"hostile {read.__name__}"] = {text: round(ms, 2) for ms, text in slowest[:5]}
    if stimuli is not None:
        import pandas as pd

        texts = list(pd.read_parquet(stimuli, columns=["stimuli"])["stimuli"].unique())
        for read in (parse_scale, split_stimulus):
            started = time.perf_counter()
            n_read = sum(read(text) is not None for text in texts)
            each = (time.perf_counter() - started) / len(texts) * 1e3
            told[f"real {read.__name__}"] = {"texts": len(texts), "read": n_read, "ms_each": round(each, 4)}
    print(json.dumps(told, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
