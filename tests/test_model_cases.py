"""The cases of odd models and strict servers in ../shared/cases, scored through the command line in this process."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from socrates_core.errors import UserError
from socrates_core.models import answer_all
from tests.support.case_files import CASES, case_names
from tests.support.commands import said
from tests.support.scoring import PROMPTS, largest_difference, open_local, questions
from tests.support.servers import free_port
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CASES.is_dir(), reason=f"the cases are not at {CASES}"),
]
ADAPTER = "adapter_with_trained_biases_changes_its_base"
Row = Mapping[Any, Any]


def answers_at(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving_case(source: Path, port: int) -> Iterator[None]:
    """The server of a case, if it has one, until the block ends."""
    if not (source / "serve.py").exists():
        yield
        return
    with subprocess.Popen([sys.executable, str(source / "serve.py"), str(port)]) as server:
        try:
            wait_until(lambda: answers_at(port))
            yield
        finally:
            server.kill()


def make_models(source: Path, folder: Path) -> None:
    if (source / "make.py").exists():
        subprocess.run([sys.executable, str(source / "make.py"), str(folder)], check=True)


def holds(check: Mapping[str, Any], rows: Mapping[str | None, Row], sentences: str) -> bool:
    """Whether a check of a case holds for the rows that were scored and all that was said."""
    if "any_of" in check:
        return any(all(holds(each, rows, sentences) for each in checks) for checks in check["any_of"])
    if "same_scores" in check:
        one, other = (np.array(rows[name]["probabilities"], dtype=float) for name in check["same_scores"])
        return bool(np.allclose(one, other, atol=check.get("within", 0.0001), rtol=0))
    if "says" in check:
        return all(re.search(pattern, sentences, re.IGNORECASE) for pattern in check["says"])
    if "scores" in check:
        row = rows.get(check["scores"])
        if row is None:
            return False
        shares = np.array(row["probabilities"], dtype=float)
        low, high = check.get("valid_mass", (-1.0, 2.0))
        if check.get("missing"):
            return bool(np.isnan(shares).all())
        wanted = check.get("probabilities", shares)
        return low <= row["valid_mass"] <= high and bool(
            np.allclose(shares, wanted, atol=check.get("within", 0.001), rtol=0)
        )
    return "exit_code" in check


@pytest.mark.parametrize("name", case_names("template_", "api_") or ["none"])
def test_a_model_or_server_is_scored_as_its_case_expects(name: str, home: Path, tmp_path: Path) -> None:
    source, port = CASES / name, free_port()
    case = json.loads((source / "case.json").read_text(encoding="utf-8"))
    make_models(source, tmp_path)
    steps = case["command"] if isinstance(case["command"][0], dict) else [{"arguments": case["command"]}]
    rows: dict[str | None, Row] = {}
    sentences = ""
    with serving_case(source, port):
        for step in steps:
            filled = [
                argument.replace("{out}", str(tmp_path)).replace("{port}", str(port))
                for argument in step["arguments"]
            ]
            arguments = [str(source / part) if (source / part).is_file() else part for part in filled]
            out, err, code = said(*arguments)
            assert code in (0, 2) and "Traceback" not in err, err
            sentences += out + err
            scored = Path(arguments[arguments.index("--output") + 1])
            if scored.exists():
                rows[step.get("as")] = pd.read_parquet(scored).to_dict("records")[0]
    for check in case["checks"]:
        assert holds(check, rows, sentences), (check, rows, sentences)


def test_an_adapter_of_the_cases_leaves_its_base_as_it_was(home: Path, tmp_path: Path) -> None:
    make_models(CASES / ADAPTER, tmp_path)
    asked = questions(PROMPTS[:1])
    before = answer_all(open_local(tmp_path / "base", precision="fp32"), asked)
    with pytest.raises(UserError, match=r"own weights, such as biases.*merge_and_unload"):
        answer_all(open_local(tmp_path / "adapter", precision="fp32"), asked)
    after = answer_all(open_local(tmp_path / "base", precision="fp32"), asked)
    assert largest_difference(after, before) == 0
