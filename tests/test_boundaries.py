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
ROOMS = (  # from the street door down to the ground: a room imports only rooms that are listed after it
    "__main__",
    "cli",
    "worker",
    "keeping",
    "reporting",
    "finetuning",
    "evaluations",
    "exposure",
    "projects",
    "importing",
    "surveys",
    "populations",
    "studies",
    "verdicts",
    "asking",
    "models",
    "calibrations",
    "corpus",
    "analysis",
    "scoring",
    "jobs",
    "prompts",
    "personas",
    "scales",
    "spreadsheets",
    "home_key",
    "imported",
    "record_folder",
    "yaml_files",
    "files",
    "settings",
    "records",
    "errors",
)


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


def test_a_page_imports_only_its_own_place_and_what_places_share() -> None:
    for path in files("pages"):
        place = path.relative_to(ROOT).parts[1]
        allowed = {"view"} if place == "view" else {"view", place}
        for name in imports(path):
            if name.startswith("pages."):
                assert name.split(".")[1] in allowed, f"{module(path)} imports {name}"


def test_the_rooms_import_each_other_in_one_direction() -> None:
    """A room is a folder or a file directly in socrates_core. Each may import the rooms that are listed after it."""
    height = {room: position for position, room in enumerate(ROOMS)}
    found = {module(path).split(".")[1] for path in files("socrates_core") if path.name != "__init__.py"}
    assert found == set(ROOMS), found ^ set(ROOMS)
    for path in files("socrates_core"):
        room = ".".join(module(path).split(".")[1:2])
        for name in sorted(imports(path)):
            other = ".".join(name.split(".")[1:2]) if name.startswith("socrates_core.") else ""
            if room and other in height and other != room:
                assert height[room] < height[other], f"{module(path)} imports {name}: an arrow back up"


def test_there_are_no_circles_of_files() -> None:
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
    local = ROOT / "socrates_core" / "models" / "local"
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
