"""The project as a package: what it needs, what it ships, and that it works where it is installed."""

import re
import socket
import subprocess
import sys
import time
import tomllib
import venv
from pathlib import Path

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from socrates_core import __version__
from socrates_core.cli.app import DIRECT
from socrates_core.errors import UserError
from socrates_core.models.local.load import load_model
from socrates_core.reporting.sources import PAPER
from socrates_core.settings import library_versions
from tests.audit import LOCK, pins
from tests.support.processes import ROOT
from tests.support.waiting import PATIENCE

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PRODUCT = pins(ROOT / "requirements.txt")
DEVELOPMENT = pins(ROOT / "requirements-dev.txt")
BACKEND = "hatchling"  # is pinned with the product, since `make setup` builds with it


@pytest.mark.parametrize(
    ("named", "pinned"),
    [
        ([*PROJECT["dependencies"], *EXTRAS["gpu"], BACKEND], PRODUCT),
        (EXTRAS["dev"], {**DEVELOPMENT, BACKEND: PRODUCT[BACKEND]}),
    ],
    ids=["product", "development"],
)
def test_the_ranges_and_the_pins_name_the_same_packages(
    named: list[str], pinned: dict[str, set[str]]
) -> None:
    ranges = {str(canonicalize_name(each.name)): each.specifier for each in map(Requirement, named)}
    assert ranges.keys() == pinned.keys()
    outside = {name for name, (version,) in pinned.items() if not ranges[name].contains(version)}
    assert outside == set()


def test_the_lock_pins_both_files() -> None:
    wanted = {**PRODUCT, **DEVELOPMENT}
    assert {name: pins(LOCK).get(name) for name in wanted} == wanted
    assert PRODUCT.keys().isdisjoint(DEVELOPMENT)


def test_the_hooks_before_a_commit_are_what_make_check_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook["entry"] for repository in config["repos"] for hook in repository["hooks"]]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [recipe] = re.findall(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    checks = [line.strip().removeprefix("@$(RUN) ") for line in recipe.splitlines()]
    assert [hook.removeprefix(".venv/bin/python -m ") for hook in hooks] == checks


def test_the_citation_names_the_licence_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["license"] == PROJECT["license"] == "Apache-2.0"
    [paper] = citation["references"]
    assert paper["title"] in PAPER and str(paper["year"]) in PAPER
    assert all(author["family-names"] in PAPER for author in paper["authors"])
    [identifier] = paper["identifiers"]
    assert identifier["value"] in PAPER


def test_the_issue_forms_ask_for_something() -> None:
    forms = [path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"]
    assert len(forms) == 2
    for path in forms:
        form = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {"name", "description", "body"} <= form.keys()
        assert any(field.get("validations", {}).get("required") for field in form["body"]), path


def test_a_package_that_is_not_installed_has_no_version() -> None:
    assert library_versions(["numpy", "no-such-package"]).keys() == {"numpy"}


def test_a_model_in_four_bits_needs_bitsandbytes(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"needs bitsandbytes\. Run: pip install bitsandbytes"):
        load_model(prepared / "models" / "starter", "nf4")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a new environment with the built project in it; it shares the installed libraries."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*pip, *build, str(ROOT)], check=True)
    venv.create(folder / "venv", with_pip=False)
    [packages] = (folder / "venv").glob("lib/python*/site-packages")
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "shared.pth").write_text("\n".join(shared))
    [wheel] = folder.glob("socrates-*.whl")
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    return folder / "venv" / "bin"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A working folder far from the project, with folders of the same names as our packages."""
    for name in ("pages", "training"):
        (tmp_path / "work" / name).mkdir(parents=True)
        (tmp_path / "work" / name / "__init__.py").write_text("raise SystemExit('Not the project.')")
    return tmp_path / "work"


@pytest.mark.slow
def test_the_installed_project_works_in_any_folder(
    installed: Path, elsewhere: Path, starter_home: Path
) -> None:
    def run(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [str(installed / "socrates"), *words]
        done = subprocess.run(
            command, cwd=elsewhere, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == status, done.stderr
        return done

    code = "import socrates_core; print(socrates_core.__file__)"
    imported = subprocess.run(
        [str(installed / "python"), "-c", code], cwd=elsewhere, capture_output=True, text=True, check=True
    )
    assert imported.stdout.startswith(str(installed.parent))
    assert "Usage: socrates" in run("--help").stdout
    assert "kakadu" in run("studies").stdout
    draft = str(ROOT / "docs" / "example.yaml")
    run_id = run("simulate", draft, "--model", "echo", "--wait").stdout.strip()
    run("report", run_id, "--output", "report")
    assert f"version {__version__}" in (elsewhere / "report" / "SOURCES.txt").read_text(encoding="utf-8")
    assert "no model 'absent'" in run("models", "merge", "absent", "merged", status=2).stderr
    (elsewhere / "damaged.sav").write_bytes(b"$FL2" + bytes(200))
    assert "damaged.sav" in run("import", "damaged.sav", status=2).stderr


@pytest.mark.slow
def test_the_installed_dashboard_answers(installed: Path, elsewhere: Path, home: Path) -> None:
    [packages] = installed.parent.glob("lib/python*/site-packages")
    for name in (".streamlit/config.toml", "app.py", "pages/view/icon.svg", "socrates_core/py.typed"):
        assert (packages / name).is_file()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [str(installed / "socrates"), "app", "--port", str(port)]
    with subprocess.Popen(
        command, cwd=elsewhere, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as server:
        try:
            assert _health(port, server) == b"ok"
        finally:
            server.terminate()
    assert server.returncode == 0


def _health(port: int, server: "subprocess.Popen[bytes]") -> bytes:
    """What the dashboard's health address answers, once it does."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            return bytes(DIRECT.open(f"http://localhost:{port}/_stcore/health", timeout=5).read())
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"The dashboard did not answer on port {port}; its exit status: {server.poll()}.")
