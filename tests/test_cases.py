"""The cases of rough files in ../shared/cases, which lie next to the checkout and are no part of the repository."""

from pathlib import Path

import pytest

from tests.support.case_files import CASES, Walk, case_names

pytestmark = pytest.mark.slow

KINDS = ("qsf_", "sav_", "dta_", "csv_", "xlsx_", "sas_", "table_", "scale_", "export_")
NAMES = [*case_names(*KINDS), *case_names("stat_codes", "stat_cross", "stat_empty", "stat_negative")]


@pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not at {CASES}")
@pytest.mark.parametrize("name", NAMES or ["none"])
def test_a_rough_file_comes_in_as_its_case_expects(name: str, home: Path, tmp_path: Path) -> None:
    Walk(name, tmp_path).run()
