"""Answers listed the other way round: what is said, what it means, and a run's command that repeats it."""

import json
from pathlib import Path

import pytest

from socrates_core.projects.answer_orders import reverse_order
from socrates_core.projects.experiments import cross, experiment_of, submit_experiment
from socrates_core.projects.run_results import load_run
from socrates_core.records import Scale
from socrates_core.scales import parse_scale, render_instruction
from socrates_core.surveys.draft import render_draft
from tests.support.commands import as_json
from tests.support.drafts import kakadu
from tests.support.jobs import ended
from tests.support.processes import end_worker

PHRASES = Path(__file__).parents[1].parent / "shared" / "data" / "scale_phrases.jsonl"
ONLY = "Only return {}, nothing else."


@pytest.mark.parametrize(
    ("written", "turned"),
    [
        ("an integer from 1 to 7", "an integer from 7 to 1"),
        (
            "an integer from 1 to 7, where 1 means Never and 7 means Always",
            "an integer from 7 to 1, where 7 means Always and 1 means Never",
        ),
        ("1 for 'Yes' or 0 for 'No'", "0 for 'No' or 1 for 'Yes'"),
        (
            "1 for 'A 7 day week', 2 for 'Week' or 3 for 'No week'",
            "3 for 'No week', 2 for 'Week' or 1 for 'A 7 day week'",
        ),
        ("an integer from -3 (Bad) to 3 (Good)", "an integer from 3 (Good) to -3 (Bad)"),
        ("a multiple of 5 between 0 and 100", "a multiple of 5 between 100 and 0"),
    ],
)
def test_a_reversed_instruction_swaps_ends_and_labels_and_no_other_word(written: str, turned: str) -> None:
    told = f'You read "From 1 to 7 days, Never." and then were asked: "How? {ONLY.format(written)}"'
    scale = parse_scale(told)
    assert scale is not None
    found = reverse_order(told, scale)
    assert found == told.replace(ONLY.format(written), ONLY.format(turned))
    assert parse_scale(found) == scale


@pytest.mark.parametrize(
    "scale",
    [
        Scale("open_integer"),
        Scale("if_upto", 1, 3, labels=((1, "bad"), (2, "fair"), (3, "good"))),
        Scale("range", 1, 7, labels=((1, "Never"), (4, "At times"))),  # 7 has no label to change places with
    ],
)
def test_an_order_that_cannot_be_said_the_other_way_is_not_offered(scale: Scale) -> None:
    assert reverse_order(render_instruction(scale), scale) is None


@pytest.mark.skipif(not PHRASES.exists(), reason="needs the shared phrases")
def test_real_instructions_keep_their_scale_when_reversed_and_come_back_when_reversed_again() -> None:
    lines = [json.loads(line)["tail"] for line in PHRASES.read_text().splitlines()]
    n_turned = 0
    for text in lines:
        scale = parse_scale(text)
        turned = scale and reverse_order(text, scale)
        if scale and turned:
            n_turned += 1
            assert turned != text and parse_scale(turned) == scale and reverse_order(turned, scale) == text
    assert n_turned > 0.9 * len(lines)


def test_the_command_of_a_run_repeats_its_order(starter_home: Path, tmp_path: Path) -> None:
    made = submit_experiment(kakadu(3), cross(["echo"], orders=["as written", "reversed"]))
    assert experiment_of(made.run_ids[1]) == made and experiment_of("no") is None
    try:
        assert [ended(run_id).state for run_id in made.run_ids] == ["done"] * 2
        for run_id, is_reversed in zip(made.run_ids, (False, True), strict=True):
            run = load_run(run_id)
            assert ("reversed" in run.command) == is_reversed
            (tmp_path / "draft.yaml").write_text(render_draft(run.spec.draft))
            told = run.command[3:]
            told[told.index("draft.yaml")] = str(tmp_path / "draft.yaml")
            again = load_run(as_json(*told)["run_id"])
            assert again.spec.content_digest() == run.spec.content_digest()
            assert (
                again.spec.shown == run.spec.shown and again.manifest["n_cached"] == again.manifest["n_cells"]
            )
    finally:
        end_worker()
