"""Who may import whom, and what importing core may load."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRODUCT = ["app.py", "pages", "socrates_core", "training"]
ALLOWED = {
    "app.py": {"pages", "socrates_core"},
    "pages": {"pages", "socrates_core"},
    "socrates_core": {"socrates_core"},
    "training": {"training", "socrates_core"},
}


def files(*names: str) -> list[Path]:
    found = []
    for name in names:
        path = ROOT / name
        found += [path] if path.is_file() else sorted(path.rglob("*.py"))
    return found


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_imports_point_one_way() -> None:
    for room, allowed in ALLOWED.items():
        for path in files(room):
            rooms = {name.split(".")[0] for name in imports(path)}
            assert rooms & {"app", *ALLOWED} <= allowed, path
            if room == "socrates_core":
                assert "streamlit" not in rooms, path


def test_pages_do_not_import_each_other() -> None:
    for path in files("pages"):
        others = {name for name in imports(path) if name.startswith("pages.")}
        assert all(name.startswith("pages.view") for name in others), path


def test_there_are_no_import_cycles() -> None:
    known = {module(path): path for path in files(*PRODUCT)}
    graph = {
        name: {other for other in imports(path) if other in known} - {name} for name, path in known.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_importing_core_loads_no_heavy_library() -> None:
    local = ROOT / "socrates_core" / "responders" / "local"
    copied = ROOT / "socrates_core" / "reporting" / "scripts"  # into replication folders, to be run there
    apart = {local, copied}
    names = [
        module(p) for p in files("socrates_core") if not apart & set(p.parents) and p.name != "__main__.py"
    ]
    code = f"import sys; [__import__(n) for n in {names!r}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    heavy = {"torch", "transformers", "peft", "trl", "datasets", "bitsandbytes", "streamlit"}
    assert not heavy & set(done.stdout.split())


def test_only_the_state_file_names_session_state_keys() -> None:
    for path in files("app.py", "pages"):
        if path.name != "state.py":
            assert "session_state" not in path.read_text(), path
