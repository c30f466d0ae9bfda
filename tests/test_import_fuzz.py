"""Any table at all: the importer and its page ask or refuse in sentences, and never crash.

The page itself is tried on few tables here; the slow tier tries more of them.
"""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from socrates_core.errors import UserError
from socrates_core.importing.build import preview, trait_examples
from socrates_core.importing.mapping import parse_mapping, render_mapping
from socrates_core.importing.mapping_tables import (
    condition_table,
    demographic_table,
    keep_table,
    mapping_from_tables,
    outcome_table,
)
from socrates_core.importing.opening import open_files
from socrates_core.importing.suggest import describe_columns, find_questions
from socrates_core.importing.uploads import keep_files
from tests.support.import_page import said, shown

NAMES = st.sampled_from(
    [
        "id",
        "arm",
        "condition",
        "age",
        "yob",
        "gender",
        "q",
        "q1",
        "Finished",
        "Status",
        "weight",
        "StartDate",
        "",
        " ",
        "naïve",
        "=x",
        "a b",
        "Respondent ID",
        "V1",
        "QID1",
        "label",
        "variable",
        "1",
        "nan",
        "x" * 300,
    ]
)
CELLS = st.sampled_from(
    [
        "",
        "0",
        "1",
        "2",
        "7",
        "99",
        "-9",
        "1.5",
        "2,5",
        "1e400",
        "inf",
        "NaN",
        "1,2,3",
        "2002",
        "2020-01-01",
        "007",
        "Agree",
        "Disagree",
        "Don't know",
        "1 - Never",
        "5 - Always",
        "True",
        "=1+1",
        "ü",
        "\u200b",
        "Response",
        '{"ImportId":"QID1"}',
        "123456789012345678",
        "x" * 200,
        "a: b",
        "[1",
        "{",
    ]
)
TABLES = st.integers(1, 6).flatmap(
    lambda width: st.tuples(
        st.lists(NAMES, min_size=width, max_size=width),
        st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8),
        st.sampled_from([",", ";", "\t"]),
    )
)
BOUNDED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(names: list[str], rows: list[list[str]], separator: str) -> str:
    lines = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in line] for line in (names, *rows)]
    return "\n".join(separator.join(line) for line in lines) + "\n"


@settings(BOUNDED, max_examples=30)
@given(TABLES)
def test_every_table_is_suggested_and_previewed_or_refused_in_a_sentence(
    home: Path, tmp_path: Path, table: tuple[list[str], list[list[str]], str]
) -> None:
    path = tmp_path / "data.csv"
    path.write_text(written(*table), encoding="utf-8")
    try:
        opened = open_files([path])
    except UserError as error:
        assert str(error).rstrip().endswith(".")
        return
    mapping = opened.suggested
    assert set(opened.left_out) | set(mapping.columns()) >= set(opened.table.frame.columns)
    assert parse_mapping(render_mapping(mapping), "it") == mapping
    sheets = {
        "demographics": demographic_table(mapping),
        "conditions": condition_table(mapping),
        "outcomes": outcome_table(mapping),
        "keep": keep_table(mapping),
    }
    more = mapping.model_dump(include={"study", "layout", "participant", "encoding", "sheet"})
    try:
        assert mapping_from_tables(more, sheets).columns()[:1] == mapping.columns()[:1]
    except UserError as error:
        assert str(error).endswith(".")
    list(find_questions(describe_columns(opened.table), mapping, opened.table))
    trait_examples(opened.table, mapping)
    seen = preview(opened.table, mapping)
    assert all(sentence.endswith(".") for sentence in (*seen.problems, *seen.remarks))


def without_crash(text: str) -> str:
    """What the page says about an uploaded table."""
    app = shown(keep_files([("data.csv", io.BytesIO(text.encode()))]).upload_id)
    assert not app.exception
    return said(app)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: "", "is empty"),
        (lambda: "a,b,c\n", "no rows"),
        (lambda: "only\nhello\nworld\n", "No column was recognized as answers"),
        (
            lambda: (
                ",".join(f"q{n}" for n in range(1000))
                + "\n"
                + ("1," * 999 + "2\n2," + "1," * 998 + "1\n") * 3
            ),
            "1,000 columns",
        ),
    ],
    ids=["empty", "no rows", "one column of texts", "a thousand columns"],
)
def test_the_page_shows_tables_at_the_ends_of_what_there_is(
    home: Path, make: Callable[[], str], sentence: str
) -> None:
    assert sentence in without_crash(make())


@pytest.mark.slow
@settings(BOUNDED, max_examples=12)
@given(TABLES)
def test_the_page_never_crashes(home: Path, table: tuple[list[str], list[list[str]], str]) -> None:
    without_crash(written(*table))
