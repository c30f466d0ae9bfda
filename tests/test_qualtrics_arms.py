"""Who was in which arm, by anything that only people of that arm have; nobody is lost for a skipped answer."""

from collections.abc import Sequence
from pathlib import Path

from socrates_core.importing.build import preview
from tests.support.qualtrics_files import (
    Columns,
    Files,
    Json,
    block,
    choice,
    descriptive,
    matrix,
    question,
    randomiser,
    sets,
    step,
    survey,
)

N = 60
STORIES = [descriptive(1, "Story A."), descriptive(2, "Story B.")]
VOTE = choice(9, "Would you vote?", "Yes", "No")
VOTES: Columns = {"Q9": ("QID9", [n % 2 + 1 for n in range(N)])}


def people(folder: Path, asked: Sequence[Json], columns: Columns, arms: Json | None = None) -> dict[str, int]:
    """How many people each condition has who were asked for their vote."""
    blocks = [block("A", 1, 3), block("B", 2, 4), block("Main", 9)]
    flow = [arms or randomiser("FL_2", step("A"), step("B")), step("Main")]
    files = Files(folder, survey([*STORIES, *asked, VOTE], blocks, flow), {**columns, **VOTES})
    seen = preview(files.responses(), files.understood().mapping)
    rows = seen.frames["responses"].merge(seen.frames["stimuli"], on=["study_id", "stimulus_id"])
    counts = rows[rows["outcome_name"].str.startswith("Q9")].groupby("condition_name").size()
    return {str(name): int(n) for name, n in counts.items()}


def in_arm(arm: int, write: str = "{n}") -> list[object]:
    """A cell for everybody in the arm, which is every second person."""
    return [write.format(n=n) if n % 2 == arm else "" for n in range(N)]


def test_free_texts_tell_the_arms(tmp_path: Path) -> None:
    asked = [question(3, "TE", "Why A?", "ML"), question(4, "TE", "Why B?", "ML")]
    columns: Columns = {
        "Q3": ("QID3_TEXT", in_arm(0, "because {n}")),
        "Q4": ("QID4_TEXT", in_arm(1, "so {n}")),
    }
    assert people(tmp_path, asked, columns) == {"A": 30, "B": 30}


def test_the_time_on_a_page_tells_the_arms(tmp_path: Path) -> None:
    asked = [question(3, "Timing", "t", "PageTimer"), question(4, "Timing", "t", "PageTimer")]
    columns: Columns = {
        "Q3_Page Submit": ("QID3_PAGE_SUBMIT", in_arm(0, "{n}.5")),
        "Q4_Page Submit": ("QID4_PAGE_SUBMIT", in_arm(1, "{n}.25")),
    }
    assert people(tmp_path, asked, columns) == {"A": 30, "B": 30}


def test_a_skipped_row_of_a_matrix_loses_nobody(tmp_path: Path) -> None:
    asked = [matrix(3, "Rate A", "a", "b"), matrix(4, "Rate B", "a", "b")]
    first = ["" if n % 3 == 0 else cell for n, cell in enumerate(in_arm(0, "1"))]
    last = ["" if n % 5 == 0 else cell for n, cell in enumerate(in_arm(1, "2"))]
    columns: Columns = {
        "Q3_1": ("QID3_1", first),
        "Q3_2": ("QID3_2", in_arm(0, "1")),
        "Q4_1": ("QID4_1", in_arm(1, "2")),
        "Q4_2": ("QID4_2", last),
    }
    assert people(tmp_path, asked, columns) == {"A": 30, "B": 30}


def test_a_field_that_only_an_inner_randomizer_sets_places_people_who_skipped_its_question(
    tmp_path: Path,
) -> None:
    asked = [choice(3, "Did ${e://Field/tone} help?", "Yes", "No"), choice(4, "Did it help?", "Yes", "No")]
    inner = randomiser("FL_3", sets("FL_4", tone="warm"), sets("FL_5", tone="cold"))
    arms = randomiser(
        "FL_2",
        {"Type": "Group", "FlowID": "FL_7", "Description": "Alpha", "Flow": [inner, step("A")]},
        {"Type": "Group", "FlowID": "FL_8", "Description": "Beta", "Flow": [step("B")]},
    )
    skipped = ["" if n % 7 == 0 else cell for n, cell in enumerate(in_arm(0, "1"))]
    tones: list[object] = [("warm", "cold")[n % 4 == 2] if n % 2 == 0 else "" for n in range(N)]
    columns: Columns = {"tone": ("tone", tones), "Q3": ("QID3", skipped), "Q4": ("QID4", in_arm(1, "2"))}
    assert people(tmp_path, asked, columns, arms) == {"Alpha": 30, "Beta": 30}
