"""What an attacker or a bad day brings in: files that unpack to everything, other users, twins, stops in the middle."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyreadstat
import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.store import open_corpus
from socrates_core.files import read_json, write_json
from socrates_core.finetuning.submission import submit_training
from socrates_core.jobs import store
from socrates_core.keeping.verify import verify
from socrates_core.models.model_folder import ModelFolder
from socrates_core.models.seen import seen_of
from socrates_core.projects import drafts
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.draft import ConditionSpec, OutcomeSpec, render_draft
from tests.faults.trials import TRIALS, fault
from tests.support.commands import process
from tests.support.drafts import make_draft, wide_draft
from tests.support.finetunes import spec_of
from tests.support.jobs import start_no_worker
from tests.support.pages import PAGES, open_page
from tests.support.processes import ROOT, start, start_worker
from tests.support.qualtrics_files import (
    LIKERT,
    Files,
    block,
    choice,
    descriptive,
    randomiser,
    sets,
    step,
    survey,
)
from tests.support.waiting import PATIENCE, wait_until

MAPPING = """
study: {study_id: twin, title: TITLE}
participant: id
conditions:
- {name: A, text: Text a., when: {arm: [a]}}
- {name: B, text: Text b., when: {arm: [b]}}
outcomes:
- {name: q, question: "How much?", column: q, scale: "Only return an integer from 1 to 7, nothing else."}
"""
SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{}</sheetData></worksheet>'
CELL = '<row r="{row}"><c r="A{row}" t="inlineStr"><is><t>{text}</t></is></c></row>'


def workbook(path: Path, sheet: str) -> Path:
    """The least workbook that is read, with this XML as its only sheet."""
    office = "http://schemas.openxmlformats.org/officeDocument/2006"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    package, kinds = "http://schemas.openxmlformats.org/package/2006", "application/vnd.openxmlformats"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType="{kinds}'
        f'-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType="{kinds}-officedocument.'
        f'spreadsheetml.sheet.main+xml"/><Override PartName="/xl/s.xml" ContentType="{kinds}-officedocument.'
        'spreadsheetml.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" Type="{office}/'
        'relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}/relationships"><sheets><sheet name="S" '
        'sheetId="1" r:id="r"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
        f'Type="{office}/relationships/worksheet" Target="s.xml"/></Relationships>',
        "xl/s.xml": f'<?xml version="1.0"?>{sheet}',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return path


def bombs(folder: Path) -> dict[Path, str]:
    """Small files that claim or unpack to far more, each with a part of what is to be said of it."""
    laughs = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(8))
    entity = f'<!DOCTYPE x [<!ENTITY a "{"l" * 1000}">{laughs}]>'
    secret = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    ends = CELL.format(row=1, text="a") + CELL.format(row=2_000_000_000, text="b")
    found = {
        workbook(folder / "rows.xlsx", SHEET.format(ends)): "more than the 1,048,576 rows",
        workbook(folder / "laughs.xlsx", entity + SHEET.format(CELL.format(row=1, text="&i;"))): "",
        workbook(folder / "secret.xlsx", secret + SHEET.format(CELL.format(row=1, text="&e;"))): "",
        workbook(folder / "spaces.xlsx", " " * 600_000_000 + SHEET.format("")): "unpacks to",
    }
    pq.write_table(
        pa.table({"id": ["1"], "arm": ["a" * (1 << 28)]}), folder / "cell.parquet", compression="zstd"
    )
    found[folder / "cell.parquet"] = "only SocSci210's columns"
    footer = (folder / "cell.parquet").read_bytes()[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1"
    (folder / "footer.parquet").write_bytes(footer)
    found[folder / "footer.parquet"] = ""
    pyreadstat.write_dta(pd.DataFrame({"id": [1.0, 2.0], "q": [1.0, 2.0]}), str(folder / "n.dta"))
    data = (folder / "n.dta").read_bytes()
    at = data.index(b"<N>") + 3
    (folder / "n.dta").write_bytes(data[:at] + struct.pack("<Q", 2**40) + data[at + 8 :])
    found[folder / "n.dta"] = ""
    (folder / "quote.csv").write_text('a,b\n"' + "x\n" * 10**7)
    found[folder / "quote.csv"] = ""
    (folder / "deep.qsf").write_text(
        '{"SurveyEntry":{},"SurveyElements":' + "[" * 200_000 + "]" * 200_000 + "}"
    )
    found[folder / "deep.qsf"] = ""
    return found


@fault("files that claim or unpack to far more than they hold", "a sentence, within memory and time", 9)
def test_a_file_that_unpacks_to_everything_is_a_sentence(quiet_home: Path, tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))

    for path, sentence in bombs(tmp_path).items():
        said = process("import", str(path), code=2, preexec_fn=limit)
        assert sentence in said and "root:" not in said, (path.name, said)


YAML_BOMBS = {
    "laughs": "a: &a [x, x, x, x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(4 * [f'*{chr(97 + n)}'])}]\n" for n in range(20)),
    "deep": "[" * 50_000 + "]" * 50_000,
    "tag": '!!python/object/apply:os.system ["touch TARGET"]\n',
    "itself": "&a [*a]\n",
}


@fault(
    "YAML that multiplies, nests, contains itself or names code", "a sentence, nothing runs", len(YAML_BOMBS)
)
def test_yaml_that_is_a_bomb_is_a_sentence(quiet_home: Path, tmp_path: Path) -> None:
    for name, text in YAML_BOMBS.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(text.replace("TARGET", str(tmp_path / "ran")))
        assert process("simulate", str(path), "--model", "uniform", code=2)
        assert process("train", str(path), code=2)
    assert not (tmp_path / "ran").exists()


@fault("a survey's flow with cycles, 30 randomizers and logic without end", "understood or a sentence", 5)
def test_a_flow_with_cycles_ends(quiet_home: Path, tmp_path: Path) -> None:
    texts = [descriptive(100 + n, f"Text {n}.") for n in range(10)]
    blocks = [block("B", 1), *(block(f"T{n}", 100 + n) for n in range(10))]
    arms = [step(f"T{n}") for n in range(5)]
    ask = choice(1, "How much?", *LIKERT)
    piped = choice(1, "How ${e://Field/a}?", *LIKERT)
    logic: dict[str, Any] = {"Type": "BooleanExpression"}
    for _ in range(400):
        logic = {"0": logic, "Type": "BooleanExpression"}
    inner = randomiser("R", step("T1"), step("T2"))
    flows = {
        "product": (ask, [randomiser(f"R{n}", *arms) for n in range(30)]),
        "inside itself": (ask, [randomiser("R", inner, step("T3")), inner]),
        "fields of each other": (
            piped,
            [
                sets("E", a="${e://Field/b}", b="${e://Field/a}"),
                randomiser("R", sets("F", a="${e://Field/a}"), step("T1")),
            ],
        ),
        "a block again and again": (ask, [step("B")] * 2000),
        "logic": (choice(1, "How much?", *LIKERT, DisplayLogic=logic), [inner]),
    }
    for name, (asked, flow) in flows.items():
        folder = tmp_path / name
        folder.mkdir()
        cells: dict[str, tuple[str, list[object]]] = {
            "id": ("responseId", ["R1", "R2"]),
            "a": ("QID1", ["1", "2"]),
        }
        files = Files(folder, survey([asked, *texts], blocks, [*flow, step("B")]), cells)
        done = subprocess.run(
            [sys.executable, "-m", "socrates_core", "import", str(files.qsf), str(files.csv)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in (0, 2) and "Traceback" not in done.stderr, (name, done.stderr)


@fault("a clock set back against what this home held", "no seal, a sentence", 1)
def test_a_clock_set_back_seals_nothing(starter_home: Path) -> None:
    job = process("simulate", "docs/example.yaml", "--model", "uniform", "--personas", "1", "--wait").strip()
    process("studies")
    for note in (starter_home / "held").glob("*.json"):  # as written before the clock was set back
        write_json(note, read_json(note) | {"first": "2999-01-01T00:00:00+00:00"})
    assert "Set the clock right" in process("seal", job, code=2)
    assert not list((starter_home / "seals").glob("0*.json"))


@fault("two imports of one name at once", "one of them whole, the other nowhere", TRIALS)
def test_of_two_imports_of_one_name_one_is_there_whole(quiet_home: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        rows = "".join(f"{n},{'ab'[n % 2]},{n * number % 7 + 1}\n" for n in range(20_000))
        (tmp_path / f"{number}.csv").write_text(f"id,arm,q\n{rows}")
        (tmp_path / f"{number}.yaml").write_text(MAPPING.replace("TITLE", f"Twin {number}"))
    for _ in range(TRIALS):
        both = [
            start("import", str(tmp_path / f"{number}.csv"), "--mapping", str(tmp_path / f"{number}.yaml"))
            for number in (1, 2)
        ]
        assert [each.wait(PATIENCE) for each in both] == [0, 0]
        corpus = open_corpus("twin")
        kept = int(corpus.study("twin").title[-1])
        values = corpus.responses("twin").sort_values("participant")["value"].astype(int).tolist()
        assert sorted(values) == sorted(n * kept % 7 + 1 for n in range(20_000))
        assert sorted(os.listdir(quiet_home / "corpora")) == [".lock", "twin"]


@fault("names with SQL, quotes and control characters", "kept as names", 1)
def test_a_name_with_sql_stays_a_name(quiet_home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'id,"arm"" ; DROP TABLE x; --","q\'); SELECT 1;--"\n1,a\'b,5\n2,$responses,6\n3,a\'b,7\n4,$responses,2\n'
    )
    mapping = process("import", str(tmp_path / "a.csv"))
    (tmp_path / "m.yaml").write_text(mapping)
    filled = mapping.replace("- name: a'b\n", "- name: a'b\n  text: One.\n")
    filled = filled.replace("- name: $responses\n", "- name: $responses\n  text: Two.\n")
    filled = filled.replace("- name: q'); SELECT 1;--\n", "- name: q'); SELECT 1;--\n  question: How?\n")
    (tmp_path / "m.yaml").write_text(filled)
    process("import", str(tmp_path / "a.csv"), "--mapping", str(tmp_path / "m.yaml"))
    assert open_corpus("a").counts("a")["n"].sum() == 4
    assert "$responses" in process("study", "a") and "SELECT 1" in process("study", "a")


@fault("another user of the machine on this home", "a sentence, nothing is read or written", 3)
@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="needs root and setpriv",
)
def test_another_user_on_this_home_gets_a_sentence(quiet_home: Path, tmp_path: Path) -> None:
    process("simulate", "docs/example.yaml", "--model", "uniform", "--personas", "1", "--wait")
    reached = [tmp_path, *tmp_path.parents]
    for folder in reached[:-2]:
        folder.chmod(0o755)
    other = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        sys.executable,
        "-m",
        "socrates_core",
    ]
    before = sorted(path for path in quiet_home.rglob("*"))
    for mode, sentence in (
        (0o700, "cannot be read"),
        (0o755, "cannot be read"),
        (0o777, "Every user of this machine"),
    ):
        quiet_home.chmod(mode)
        for words in (["runs"], ["jobs"], ["storage"], ["worker", "--idle-seconds", "0"]):
            done = subprocess.run([*other, *words], cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr, done
    assert sorted(path for path in quiet_home.rglob("*")) == before
    assert "Remove that permission: chmod o-w" in process("runs", code=2)


@fault("umask 000 and 077", "every file is its owner's alone", 2)
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_files_are_their_owners_alone_whatever_the_umask(
    quiet_home: Path, tmp_path: Path, umask: int
) -> None:
    options: dict[str, Any] = {"preexec_fn": lambda: os.umask(umask)}
    process("simulate", "docs/example.yaml", "--model", "uniform", "--personas", "1", "--wait", **options)
    process("archive", str(tmp_path / "a.zip"), **options)
    made = [*quiet_home.rglob("*"), tmp_path / "a.zip"]
    assert len(made) > 10 and not [path for path in made if path.stat().st_mode & 0o077]


@fault("SIGSTOP of the worker, then SIGCONT", "the job says so, can be cancelled, and goes on", 1)
def test_a_stopped_worker_is_named_and_goes_on(quiet_home: Path) -> None:
    job = submit_simulation(wide_draft(400, 100), ModelRequest("echo"))
    worker = start_worker()
    wait_until(lambda: store.read_job(job.id).state == "running")
    worker.send_signal(signal.SIGSTOP)
    wait_until(lambda: "A signal paused" in store.read_job(job.id).message)
    assert f"kill -CONT {worker.pid}" in process("job", job.id)
    assert store.read_job(job.id).state == "running" and not store.can_start()  # nobody else takes it
    worker.send_signal(signal.SIGCONT)
    assert worker.wait(PATIENCE) == 0 and store.read_job(job.id).state == "done"


@fault("cancel while a finetune publishes its model", "the model is whole or not there", TRIALS)
def test_a_finetune_cancelled_while_it_publishes_leaves_a_whole_model(
    finetuning_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_no_worker(monkeypatch)
    aside = finetuning_home / "adapters" / ".tuned.new"
    for trial in range(TRIALS):
        job = submit_training(spec_of(name="tuned", max_steps=2, seed=trial))
        worker = start_worker()
        while not aside.exists() and store.read_job(job.id).active:
            time.sleep(0.0005)
        if store.read_job(job.id).active:
            store.cancel(job.id)
        assert worker.wait(PATIENCE) == 0
        assert store.read_job(job.id).state in ("cancelled", "done"), store.read_job(job.id).message
        made = finetuning_home / "adapters" / "tuned"
        assert ModelFolder(made).card["training"]["id"] == job.id and seen_of("tuned").trainings
        assert not [each for each in verify() if not each.whole]
        assert sorted(path.name for path in (finetuning_home / "adapters").iterdir()) == ["tuned"]
        shutil.rmtree(made)


@fault("a draft of 1,000,000 and of 10,000 conditions", "a sentence, in the shell and in the window", 2)
def test_a_draft_of_very_many_conditions_is_a_sentence(quiet_home: Path, tmp_path: Path) -> None:
    text = render_draft(make_draft())
    head, tail = text.split("conditions:\n")
    tail = tail[tail.index("outcomes:") :]
    rows = "".join(f"- name: c{n}\n  text: t{n}\n" for n in range(10**6))
    (tmp_path / "a.yaml").write_text(f"{head}conditions:\n{rows}{tail}")
    assert "is too large" in process("simulate", str(tmp_path / "a.yaml"), "--model", "uniform", code=2)
    many = tuple(ConditionSpec(name=f"c{n}", text=f"t{n}") for n in range(10_000))
    outcome = OutcomeSpec(name="Support", question="How much?")
    page = open_page(PAGES[2], draft=drafts.create(make_draft(conditions=many, outcomes=(outcome,))))
    assert "the window edits at most 300" in page.error[0].value


@fault("a folder of the same names as Python's libraries", "is not run", 1)
def test_commands_run_nothing_from_a_folder_that_they_were_only_told_of(
    quiet_home: Path, tmp_path: Path
) -> None:
    for name in ("yaml.py", "duckdb.py", "socrates_core.py"):
        (tmp_path / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "draft.yaml").write_text(render_draft(make_draft()))
    process("simulate", str(tmp_path / "draft.yaml"), "--model", "uniform", "--wait")
    process("report", os.listdir(quiet_home / "runs")[0], "--output", str(tmp_path / "report"))
    assert not (tmp_path / "ran").exists()
