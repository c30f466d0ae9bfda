"""The notebook for newcomers runs from top to bottom as it is, and is kept without outputs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

NOTEBOOK = ROOT / "docs" / "notebooks" / "screen_your_first_study.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def test_no_output_is_kept() -> None:
    code = [cell for cell in CELLS if cell["cell_type"] == "code"]
    assert code and all(not cell["outputs"] and cell["execution_count"] is None for cell in code)


@pytest.mark.model
def test_the_notebook_runs_and_says_what_it_finds(starter_home: Path, tmp_path: Path) -> None:
    """Its code cells run in order in one namespace, as in a notebook, in a new process."""
    script = "\n\n".join("".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code")
    (tmp_path / "notebook.py").write_text(script, encoding="utf-8")
    # Not the script itself: Python would look for the project in its folder.
    code = "import runpy, sys; runpy.run_path(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "notebook.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert "as a push message on people's phones" in done.stdout
    assert "done" in done.stdout and "a uniform guess" in done.stdout
    assert "Push message: predicted" in done.stdout and "people not asked yet" in done.stdout
    assert "report.html" in done.stdout
