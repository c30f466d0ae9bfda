"""How fast the Explore pages are on the corpora of SOCRATES_HOME: queries, scripts, ten people at once.

    SOCRATES_HOME=FOLDER python -m benchmarks.explore [--visits 40] [--sessions 10]

Bars at SocSci210's full size (python -m benchmarks.corpus makes one): queries p95 under 50 ms, every page's script
under 400 ms p95, ten sessions at once without an error. Every visit to a study opens one that was not open before.
"""

import argparse
import asyncio
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.testing.v1 import AppTest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from socrates_core.cli.app import DIRECT
from socrates_core.corpus import corpora, open_corpus
from socrates_core.corpus.near import near_study
from socrates_core.corpus.search import search
from socrates_core.corpus.topics import make_map
from socrates_core.studies.answers import human_effects, read_outline

ROOT = Path(__file__).parents[1]
VIEWS: tuple[dict[str, str], ...] = (
    {},
    {"outcome": "all"},
    {"by": "gender"},
    {"study_view": "Answers"},
    {"study_view": "Effects"},
    {"study_view": "People"},
    {"study_view": "Conditions"},
    {"study_view": "Outcomes"},
    {"study_view": "Exact prompt"},
    {"study_view": "Similar"},
    {"study_view": "About"},
)
Visit = tuple[str, str, dict[str, str]]  # what it is called, the page, the link's parameters
Times = dict[str, list[float]]  # milliseconds


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--visits", type=int, default=40, help="to every page")
    arguments.add_argument("--sessions", type=int, default=10, help="people at once")
    chosen = arguments.parse_args()
    name = max(corpora(), key=lambda each: int(open_corpus(each).manifest["rows"]["responses"]))
    rows = open_corpus(name).manifest["rows"]
    print(f"{name}: {rows['responses']:,} answers, {rows['studies']} studies, {rows['stimuli']:,} texts")
    report("queries, bar 50 ms", time_queries(name, chosen.visits))
    make_map(corpora())
    report("pages by AppTest, bar 400 ms", time_pages(visits(name, chosen.visits)))
    with served() as port:
        times, errors = asyncio.run(time_sessions(port, name, 1, chosen.visits // 4))
        report("pages on a server, one person", times)
        times, more = asyncio.run(time_sessions(port, name, chosen.sessions, chosen.visits // 4))
        report(f"pages on a server, {chosen.sessions} people at once without a pause", times)
    print(f"errors: {errors + more}")


def report(title: str, times: Times) -> None:
    print(f"\n{title}\n{'':34}{'p50':>8}{'p95':>8}{'max':>8}   ms")
    for name, told in times.items():
        print(
            f"{name:34}{np.median(told):8.1f}{np.quantile(told, 0.95):8.1f}{max(told):8.1f}   n = {len(told)}"
        )


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return 1000 * (time.perf_counter() - start)


def time_queries(name: str, n: int) -> Times:
    """Each query on studies drawn at random, after one to warm up."""
    corpus = open_corpus(name)
    known = corpus.study_ids()
    asked: dict[str, Callable[[str], object]] = {
        "catalogue": lambda study: corpus.studies(),
        "one study": corpus.study,
        "outline": lambda study: read_outline(corpus, study),
        "answers by condition": corpus.tallies,
        "answers by gender": lambda study: corpus.tallies(study, "gender"),
        "participants": lambda study: corpus.participants([study]),
        "one answer a person": corpus.person_means,
        "search": lambda study: search(" ".join(corpus.study(study).title.split()[:2]), [name]),
        "near a study": lambda study: near_study(name, study, [name]),
        "(all effects, computed)": lambda study: human_effects(corpus, study),
    }
    drawn = random.Random(0).choices(known, k=4 * n)
    found = {}
    for title, ask in asked.items():
        ask(known[0])
        found[title] = [timed(lambda ask=ask, study=study: ask(study)) for study in drawn]  # type: ignore[misc]
    return found


def visits(name: str, n: int, seed: int = 0) -> list[Visit]:
    """`n` visits to every page and every view of a study."""
    known, titles = open_corpus(name).study_ids(), open_corpus(name).studies()["title"].tolist()
    generator = random.Random(seed)
    found: list[Visit] = []
    for _ in range(n):
        found += [
            ("Studies", "", {}),
            ("Studies, searched", "", {"q": generator.choice(generator.choice(titles).split())}),
        ]
        found += [("Topic map", "map", {}), ("Topic map, questions", "map", {"points": "Questions"})]
        for view in VIEWS:
            title = f"Study: {' '.join(view.values()) or 'Answers'}"
            found.append((title, "study", {"corpus": name, "study": generator.choice(known), **view}))
    return found


def time_pages(asked: Iterable[Visit]) -> Times:
    """Script runs in Streamlit's own harness, the first visit to each page left out. Raises on an error."""
    found: Times = {}
    for title, page, parameters in asked:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        app.query_params.update(parameters)
        app.switch_page(f"pages/library/{page or 'studies'}.py")
        spent = timed(app.run)
        if app.exception or app.error:
            raise RuntimeError(f"{title} {parameters}: {app.exception or app.error}")
        found.setdefault(title, []).append(spent)
    return {title: told[1:] for title, told in found.items()}


@contextmanager
def served() -> Iterator[int]:
    """The port of a dashboard that serves this home."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "socrates_core", "app", "--port", str(port)]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://localhost:{port}/_stcore/health")
        yield port
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address: str) -> None:
    for _ in range(300):
        try:
            DIRECT.open(address, timeout=1).read()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"{address} does not answer")


async def time_sessions(port: int, name: str, n_people: int, n: int) -> tuple[Times, int]:
    """People who open one page after the other, each in a session of their own; times and errors."""
    async with asyncio.TaskGroup() as group:
        people = [group.create_task(one_person(port, visits(name, n, seed))) for seed in range(n_people)]
    found: Times = {}
    errors = 0
    for person in people:
        for title, spent, failed in person.result():
            found.setdefault(title, []).append(spent)
            errors += failed
    return found, errors


async def one_person(port: int, asked: list[Visit]) -> list[tuple[str, float, bool]]:
    """For each visit its name, the milliseconds from the request to the end of the script, and whether it failed."""
    told = []
    address = f"ws://localhost:{port}/_stcore/stream"
    async with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None, proxy=None) as line:
        for title, page, parameters in asked:
            start = time.perf_counter()
            request = BackMsg()
            request.rerun_script.page_name = page
            request.rerun_script.query_string = urlencode(parameters)
            await line.send(request.SerializeToString())
            failed = await read_to_the_end(line)
            told.append((title, 1000 * (time.perf_counter() - start), failed))
    return told


async def read_to_the_end(line: object) -> bool:
    """Reads until the script has finished; True where it showed an error or did not finish well."""
    failed = False
    while True:
        message = ForwardMsg()
        message.ParseFromString(await asyncio.wait_for(line.recv(), 120))  # type: ignore[attr-defined]
        element = message.delta.new_element
        failed |= element.HasField("exception") or (element.HasField("alert") and element.alert.format == 1)
        failed |= message.HasField("page_not_found")
        if message.HasField("script_finished"):
            if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                continue
            return failed or message.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY


if __name__ == "__main__":
    main()
