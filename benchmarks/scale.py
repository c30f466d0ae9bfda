"""How a corpus of SocSci210's full size is imported, stored and asked, against load_dataset with pandas.

    python -m benchmarks.scale [--quick] [--keep FOLDER]

The corpus is made up (benchmarks/corpus.py). The import runs as its own process through the project's own command; its
memory is the peak of that process. Every query is asked of every study, first calls included. The peer reads the same
Parquet files in the same run, without prompt and reasoning: Hugging Face datasets (benchmarks/requirements.txt) into
pandas, then one group-by a study. It takes part where `datasets` is installed. The pages come
last: benchmarks/explore.py.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from socrates_core.corpus import open_corpus
from socrates_core.studies.answers import read_outline

CELL = ["condition_num", "task_num", "stimuli", "response"]
PEER = f"""
import json, resource, sys, time
from datasets import load_dataset
files, cache, studies = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
begun = time.perf_counter()
columns = ["study_id", "participant", "demographic", "sample_id", *{CELL!r}]
data = load_dataset("parquet", data_files=files, split="train", columns=columns, cache_dir=cache)
loaded = time.perf_counter() - begun
frame = data.remove_columns(["demographic"]).to_pandas()
ready = time.perf_counter() - begun
times = []
for study in studies:
    asked = time.perf_counter()
    rows = frame[frame["study_id"] == study].groupby({CELL!r}).size()
    times.append(1000 * (time.perf_counter() - asked))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps({{"loaded": loaded, "ready": ready, "times": times, "peak": peak}}))
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="the first 20 studies: half a minute")
    arguments.add_argument("--keep", type=Path, help="make the raw files here, or use those that are here")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        raw = chosen.keep or Path(scratch) / "raw"
        if not list(raw.glob("*.parquet")):
            print("making the corpus", flush=True)
            few = ["--studies", "20"] if chosen.quick else []
            command = [sys.executable, "-m", "benchmarks.corpus", str(raw), *few]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        measure(raw, Path(scratch))
        pages("8" if chosen.quick else "40")


def measure(raw: Path, scratch: Path) -> None:
    """Imports the shards in `raw` into a home of its own under `scratch`, asks, and prints the table."""
    os.environ["SOCRATES_HOME"] = str(scratch / "home")
    seconds, peak = run_import(raw)
    corpus = open_corpus("socsci210")
    raw_size, size = (folder_size(path) for path in (raw, corpus.path))
    rows = corpus.manifest["rows"]
    print(
        f"{rows['responses']:,} answers, {rows['participants']:,} people, {rows['studies']} studies, "
        f"{rows['stimuli']:,} texts; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n"
    )
    line("import, s", seconds, "90")
    line("import, peak memory, GB", peak, "2")
    line(
        f"raw files over store ({raw_size / 1e6:,.0f} MB / {size / 1e6:,.1f} MB)",
        raw_size / size,
        "at least 20",
    )
    each = [(study,) for study in corpus.study_ids()]
    ways: dict[str, tuple[Callable[..., Any], Iterable[tuple[Any, ...]]]] = {
        "catalogue": (corpus.studies, [()] * 50),
        "study": (corpus.study, each),
        "what was asked": (lambda study: read_outline(corpus, study), each),
        "counts": (corpus.counts, each),
        "counts by cell": (corpus.tallies, each),
        "counts by gender": (lambda study: corpus.tallies(study, "gender"), each),
        "one mean a person": (corpus.person_means, each),
        "people": (lambda study: corpus.participants([study]), each),
    }
    for name, (ask, asked) in ways.items():
        line(f"{name}, p95 ms", float(np.percentile(times_of(ask, asked), 95)), "50")
    compare(raw, scratch, corpus.study_ids(), float(np.median(times_of(corpus.tallies, each))), seconds)


def pages(visits: str) -> None:
    """The pages over what was imported, in a process of their own: benchmarks/explore.py."""
    command = [sys.executable, "-m", "benchmarks.explore", "--visits", visits]
    subprocess.run(command, check=True, env={**os.environ, "STREAMLIT_LOGGER_LEVEL": "error"})


def run_import(raw: Path) -> tuple[float, float]:
    """Seconds and peak memory in GB of `python -m socrates_core import`, start to end."""
    command = [sys.executable, "-m", "socrates_core", "import", str(raw), "--name", "socsci210"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(
            f"The import ended with status {status}; run it alone to see why: {' '.join(command)}"
        )
    return time.perf_counter() - begun, usage.ru_maxrss / 1e6


def compare(raw: Path, scratch: Path, studies: list[str], ours: float, seconds: float) -> None:
    """The same counts by load_dataset and pandas, in a process of their own."""
    command = [
        sys.executable,
        "-c",
        PEER,
        str(raw / "*.parquet"),
        str(scratch / "cache"),
        json.dumps(studies),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"\ndatasets is left out: {done.stderr.strip().splitlines()[-1]}")
        return
    told = json.loads(done.stdout.splitlines()[-1])
    print("\ncounts by cell of one study           ready after, s   memory, GB   median ms   p95 ms")
    peer_95 = float(np.percentile(told["times"], 95))
    print(
        f"{'load_dataset + pandas':38}{told['ready']:14.1f}{told['peak']:13.1f}"
        f"{np.median(told['times']):12.1f}{peer_95:9.1f}"
    )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{'this project (imported once)':38}{seconds:14.1f}{memory:13.1f}{ours:12.1f}")
    print(
        f"a query is {np.median(told['times']) / ours:.1f} times as fast, and nothing is loaded again next time"
    )


def times_of(ask: Callable[..., Any], asked: Iterable[tuple[Any, ...]]) -> list[float]:
    """Milliseconds of each call."""
    times = []
    for arguments in asked:
        begun = time.perf_counter()
        ask(*arguments)
        times.append(1000 * (time.perf_counter() - begun))
    return times


def line(name: str, value: float, bar: str) -> None:
    print(f"{name:58}{value:10.1f}   (bar {bar})", flush=True)


def folder_size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
