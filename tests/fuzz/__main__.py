"""Tries readers and loaders with spoilt files for a while, then prints what became of them.

python -m tests.fuzz [--seconds 300] [--seed 0] [--only TEXT]

Needs the starter corpus (`make setup`). Ends with 1 where any input was a crash; those are kept in the folder that is
named. Where the package atheris is installed, the readers of text are tried with its guided inputs too.
"""

import argparse
import importlib.util
import os
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from socrates_core.corpus.starter import prepare_starter_corpus
from socrates_core.jobs import worker_process
from socrates_core.settings import home as real_home
from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import make_home
from tests.fuzz.trying import Apart, Tried, attempt

GUIDED = ("scale reader", "answer reader")
ROUND = 0.5  # seconds with one target before the next has its turn


@dataclass
class Tally:
    """What became of a target's inputs: how many of each verdict, the slowest, and the crashes by where they are.

    The first input of each crash is written to the folder `kept`.
    """

    kept: Path
    verdicts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    crashes: dict[str, str] = field(default_factory=dict)

    def add(self, tried: Tried, data: bytes) -> None:
        self.verdicts[tried.verdict] += 1
        self.slowest = max(self.slowest, tried.ms)
        place = _place(tried.told)
        if tried.verdict == "crash" and place not in self.crashes:
            self.crashes[place] = tried.told
            self.kept.mkdir(parents=True, exist_ok=True)
            (self.kept / f"{len(self.crashes):03d}").write_bytes(data)
            (self.kept / f"{len(self.crashes):03d}.txt").write_text(tried.told, encoding="utf-8")


def _place(told: str) -> str:
    """What tells one crash from another: our last line and the kind of error, or how a sentence fails."""
    if not told.startswith("Traceback"):
        return told.partition(":")[0].lstrip("0123456789,").strip()
    ours = [line.strip() for line in told.splitlines() if re.match(r'  File ".*socrates_core', line)]
    kinds = re.findall(r"^[\w.]+(?:Error|Exception)\b", told, re.MULTILINE)
    return f"{ours[-1] if ours else ''} {kinds[-1] if kinds else ''}"


def fuzz(
    home: Path, seeds: Path, found: Path, *, seconds: float, seed: int, only: str = ""
) -> dict[str, Tally]:
    """Tries every target whose name holds `only` in turn, each for the same time; keeps crashes in `found`."""
    names = sorted(path.name for path in seeds.iterdir() if only in path.name)
    tallies = {name: Tally(found / name) for name in names}
    contents = {name: [path.read_bytes() for path in sorted((seeds / name).iterdir())] for name in names}
    apart, ends, turn = Apart(home), time.monotonic() + seconds, 0
    try:
        for name in names:
            for data in contents[name]:  # the sound ones first
                tallies[name].add(_try(apart, name, data), data)
        while time.monotonic() < ends:
            for position, name in enumerate(names):
                rng = np.random.default_rng([seed, turn, position])
                until = min(ends, time.monotonic() + ROUND)
                while time.monotonic() < until:
                    data = mutate(rng, contents[name])
                    tallies[name].add(_try(apart, name, data), data)
            turn += 1
    finally:
        apart.close()
    return tallies


def _try(apart: Apart, name: str, data: bytes) -> Tried:
    """The verdict; where an input ends the process, a reader that has one of its own must say so in a sentence."""
    tried = apart.attempt(name, data)
    if tried.verdict != "died":
        return tried
    if name == "SPSS and Stata":
        return attempt(_read_statistical, data)
    return Tried("crash", f"{name}: {tried.told}", tried.ms)


def _read_statistical(data: bytes) -> None:
    from socrates_core.importing.statistical import read_statistical

    with tempfile.NamedTemporaryFile(suffix=".sav") as file:
        file.write(data)
        file.flush()
        read_statistical(Path(file.name))


def render(tallies: dict[str, Tally]) -> str:
    """A table, a line a target, and their sum."""
    lines = [f"{'target':<22}{'inputs':>9}{'accepted':>10}{'refused':>9}{'crashes':>9}{'slowest ms':>12}"]
    for name, tally in tallies.items():
        told = tally.verdicts
        lines.append(
            f"{name:<22}{told.total():>9,}{told['accepted']:>10,}{told['refused']:>9,}{told['crash']:>9,}"
            f"{tally.slowest:>12,.0f}"
        )
    every = sum((tally.verdicts for tally in tallies.values()), Counter[str]())
    lines.append(
        f"{'all':<22}{every.total():>9,}{every['accepted']:>10,}{every['refused']:>9,}{every['crash']:>9,}"
    )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    told = parser.parse_args()
    prepare_starter_corpus(lambda text, share: None)
    corpora = real_home() / "corpora"
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        home, found = Path(folder) / "home", Path(tempfile.gettempdir()) / f"fuzz-crashes-{os.getpid()}"
        os.environ["SOCRATES_HOME"] = str(home)
        worker_process.ensure_worker = lambda: None  # jobs are run here
        seeds = make_home(home, corpora)
        tallies = fuzz(home, seeds, found, seconds=told.seconds, seed=told.seed, only=told.only)
        print(render(tallies))
        guided_crash = False
        if importlib.util.find_spec("atheris") is None:
            print("atheris is not installed, so nothing was guided by coverage (pip install atheris).")
        else:
            from tests.fuzz.guided import guide

            for name in GUIDED:
                said, crashed = guide(name, seeds / name, told.seconds / 10, told.seed)
                print(said)
                guided_crash = guided_crash or crashed
    crashes = [(name, place) for name, tally in tallies.items() for place in tally.crashes]
    for name, place in crashes:
        print(f"\n{name}: {place}")
    if crashes:
        print(f"\n{len(crashes)} different crashes; their inputs are in {found}")
    return 1 if crashes or guided_crash else 0


if __name__ == "__main__":
    sys.exit(main())
