"""The command line as a person and a script use it: exit codes, JSON, sentences on standard error."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from socrates_core.__main__ import COMMANDS
from socrates_core.surveys.draft import render_draft
from tests.support.commands import as_json, command, process
from tests.support.drafts import make_draft


def test_help_lists_every_command_and_what_it_does() -> None:
    listed = dict(re.findall(r"^\W*([\w-]+) {2,}(\w.*)", command("--help"), re.M))
    assert set(COMMANDS) <= set(listed) and len(COMMANDS) > 40


def test_studies_and_study_tell_what_people_answered(starter_home: Path) -> None:
    listed = as_json("studies")
    assert len(listed) >= 12 and {"study_id", "title", "n_participants", "n_conditions"} <= set(listed[0])
    study = as_json("study", "kakadu")
    assert [c["n"] for c in study["cells"]] == [909, 918] or [c["n"] for c in study["cells"]] == [918, 909]
    assert set(study["cells"][0]) >= {
        "condition_num",
        "task_num",
        "stimulus",
        "scale",
        "n",
        "n_off_scale",
        "counts",
    }
    assert abs(study["effects"][0]["difference"]) == pytest.approx(0.18, abs=0.005)
    assert "kakadu" in command("studies") and "Effects" in command("study", "kakadu")


def test_scale_and_read_speak_json_and_sentences(home: Path) -> None:
    text = "Only return an integer from 1 to 7, where 1 means Never and 7 means Always, nothing else."
    found = as_json("scale", text)
    assert found == {
        "kind": "range",
        "low": 1,
        "high": 7,
        "step": 1,
        "labels": {"1": "Never", "7": "Always"},
        "values": [1, 2, 3, 4, 5, 6, 7],
    }
    assert as_json("read", "I would say 5.", "--instruction", text)["value"] == 5
    negative = "Only return an integer from -3 to 3, nothing else."
    assert as_json("read", "-1", "--instruction", negative)["value"] == -1
    assert as_json("read", "no idea", "--instruction", text)["value"] is None
    assert "No answer scale" in command("scale", "tell me a story", code=2)


def test_prompt_prints_the_exact_messages(starter_home: Path) -> None:
    first = as_json("study", "kakadu")["cells"][0]
    person = "1"
    told = as_json(
        "prompt",
        "--study",
        "kakadu",
        "--condition",
        str(first["condition_num"]),
        "--task",
        str(first["task_num"]),
        "--participant",
        person,
    )
    assert [message["role"] for message in told] == ["system", "user"]
    assert told[1]["content"].endswith(first["stimulus"])
    wrong = command(
        "prompt", "--study", "kakadu", "--condition", "99", "--task", "0", "--participant", "0", code=2
    )
    assert "'99/0'" in wrong


def test_score_writes_one_row_a_line(home: Path, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"id": "a", "prompt": "How?", "instruction": "Only return an integer from 1 to 5, nothing else."},
        {"id": 2, "prompt": "Which?", "options": ["Yes", "No"], "system": "Be brief."},
    ]
    source, output = tmp_path / "in.jsonl", tmp_path / "out.parquet"
    source.write_text("\n".join(json.dumps({**line, "id": str(line["id"])}) for line in lines))
    command("score", "--model", "echo", "--input", str(source), "--output", str(output))
    rows = pq.read_table(output).to_pylist()
    assert [set(row) for row in rows] == [{"id", "options", "probabilities", "valid_mass", "n_tokens"}] * 2
    assert rows[0]["options"] == ["1", "2", "3", "4", "5"] and rows[1]["options"] == ["Yes", "No"]
    assert all(abs(sum(row["probabilities"]) - 1) < 1e-12 for row in rows)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "Line 1"),
        ('{"id": 1, "prompt": "x"}', "instruction"),
        ('{"id": 1, "prompt": "x", "options": []}', "options must be"),
        ('{"id": 1, "prompt": "x", "options": "yes"}', "options must be"),
        ('{"id": 1, "prompt": null, "options": ["1", "2"]}', "must be text"),
        ('{"id": [1], "prompt": "x", "options": ["1", "2"]}', "id must be"),
        ('{"id": 1, "prompt": "x", "instruction": "sing"}', "no scale that can be read"),
        ("", "holds no lines"),
    ],
)
def test_score_refuses_a_bad_line_with_a_sentence(home: Path, tmp_path: Path, line: str, told: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(line)
    assert told in command(
        "score", "--model", "echo", "--input", str(source), "--output", "x.parquet", code=2
    )


def test_simulate_waits_for_a_real_worker_and_run_shows_it(starter_home: Path, tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(render_draft(make_draft()))
    run_id = process(
        "simulate", str(path), "--model", "echo", "--personas", "3", "--seed", "5", "--wait"
    ).strip()
    told = as_json("run", run_id)
    assert told["manifest"]["n_people"] == 3 and len(told["cells"]) == 2
    assert [row["run_id"] for row in as_json("runs")] == [run_id]
    assert as_json("job", run_id)["state"] == "done" and as_json("jobs")[0]["id"] == run_id
    assert "Reproduce" in command("run", run_id, "--export", str(tmp_path / "out"))
    assert "only a queued or running" in command("cancel", run_id, code=2)


@pytest.mark.parametrize(
    "args",
    [("study", "nope"), ("run", "nope"), ("job", "nope"), ("cancel", "nope"), ("simulate", "nope.yaml")],
)
def test_unknown_names_end_in_a_sentence(home: Path, args: tuple[str, ...]) -> None:
    assert "no" in command(*args, code=2)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("sing",), "No such command 'sing'"),
        (("study",), "study_id"),
        (("models", "--loud"), "--loud"),
        (("simulate", "x.yaml", "--precision", "int3"), "'auto', 'fp32', 'bf16', 'fp16', 'int8', 'nf4'"),
    ],
)
def test_a_mistyped_command_is_one_sentence(home: Path, args: tuple[str, ...], told: str) -> None:
    assert told in command(*args, code=2)


def test_a_process_ends_with_the_code_of_its_command(home: Path) -> None:
    """All other commands of this file run in this process."""
    assert json.loads(process("jobs", "--json")) == []
    assert "No such command 'sing'" in process("sing", code=2)


def test_an_unknown_model_fails_the_run_with_a_sentence(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "draft.yaml"
    path.write_text(render_draft(make_draft()))
    assert "no/such" in command("simulate", str(path), "--model", str(tmp_path / "no/such"), "--wait", code=2)


def test_models_lists_the_starter_and_the_stand_ins(starter_home: Path) -> None:
    assert {"starter", "echo", "uniform"} <= {row["name"] for row in as_json("models")}


def test_an_unwritable_home_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    monkeypatch.setenv("SOCRATES_HOME", str(blocker / "home"))
    assert "SOCRATES_HOME" in command("jobs", code=2)
