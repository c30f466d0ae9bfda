"""How fast answers come on a quiet machine and beside a busy program, with threads that spin long or only shortly.

    python -m benchmarks.beside [--people 12] [--rounds 4]

Threads of one matrix product wait for the slowest. By libgomp's default they spin 300,000 turns before they sleep;
this project lets them spin 1,000 (`socrates_core/__init__.py`). Every round asks the same people in a process of its
own for each of the four; figures are medians over the rounds.
"""

import argparse
import os
import subprocess
import sys
import time
from statistics import median

from benchmarks.score import SEVEN, machine, make_slices, read_people

SPINS = {"default": "300000", "ours": "1000"}
BUSY = [sys.executable, "-c", "while True: pass"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--ask", action="store_true", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.ask:
        print(ask(told.people))
        return
    times: dict[tuple[str, bool], list[float]] = {}
    for turn in range(told.rounds):
        for busy in (False, True):
            for name in sorted(SPINS, reverse=bool(turn % 2)):
                times.setdefault((name, busy), []).append(ask_aside(told.people, SPINS[name], busy=busy))
    print(f"{machine()}; starter model in fp32, {told.people} people, scale 1 to {SEVEN[-1]}")
    print(f"{'ms a prompt':<28}{'default':>10}{'ours':>10}{'default over ours':>20}")
    for busy in (False, True):
        theirs, ours = (median(times[name, busy]) * 1e3 for name in ("default", "ours"))
        place = "beside a busy program" if busy else "on a quiet machine"
        print(f"{place:<28}{theirs:>10.0f}{ours:>10.0f}{theirs / ours:>20.2f}")


def ask(n_people: int) -> float:
    """Seconds a prompt, after a first batch that is not timed."""
    from socrates_core.models import answer_all
    from socrates_core.models.local.responder import LocalResponder

    asked = make_slices(read_people(None, n_people), 1)[0].seven
    responder = LocalResponder("starter", "fp32")
    answer_all(responder, asked[:2])
    begun = time.perf_counter()
    answer_all(responder, asked)
    return (time.perf_counter() - begun) / len(asked)


def ask_aside(n_people: int, spins: str, *, busy: bool) -> float:
    """The same in a process of its own, since libgomp reads its settings once."""
    other = subprocess.Popen(BUSY) if busy else None
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.beside", "--ask", "--people", str(n_people)],
            env=os.environ | {"GOMP_SPINCOUNT": spins},
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        if other:
            other.kill()
            other.wait()
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
