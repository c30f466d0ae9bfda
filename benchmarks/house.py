"""How the project is built, in figures: lines, files, comments, helpers that are called once, arrows between rooms.

python -m benchmarks.house [FOLDER]      FOLDER is a checkout, this one by default
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PRODUCT = ("app.py", "pages", "socrates_core", "training")


def python_files(root: Path, *names: str) -> list[Path]:
    """The Python files in the named files and folders of `root`."""
    paths = (root / name for name in names)
    return [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))]


def n_lines(files: list[Path]) -> int:
    return sum(len(file.read_text().splitlines()) for file in files)


def comment_share(files: list[Path]) -> float:
    """Lines that carry a comment as a share of all lines; comments that switch a tool off do not count."""
    n_comments = 0
    for file in files:
        tokens = tokenize.generate_tokens(io.StringIO(file.read_text()).readline)
        comments = {
            token.start[0]
            for token in tokens
            if token.type == tokenize.COMMENT and not re.match(r"# (noqa|type:|fmt:)", token.string)
        }
        n_comments += len(comments)
    return n_comments / n_lines(files)


def helpers_called_once(files: list[Path]) -> tuple[int, int]:
    """How many private top-level functions are named exactly once outside their definition, and how many there are."""
    once = total = 0
    for file in files:
        tree = ast.parse(file.read_text())
        names = Counter(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        helpers = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        helpers = [name for name in helpers if name.startswith("_")]
        total += len(helpers)
        once += sum(names[name] == 1 for name in helpers)
    return once, total


def room_imports(root: Path) -> Iterator[tuple[str, str]]:
    """Pairs of rooms of socrates_core of which the first imports the second."""
    for file in python_files(root, "socrates_core"):
        room = file.relative_to(root / "socrates_core").with_suffix("").parts[0]
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                parts = node.module.split(".")
                targets = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
                if parts[0] == "socrates_core":
                    yield from ((room, target) for target in targets if target != room)


def arrows_in_circles(root: Path) -> int:
    """Arrows between rooms that lie on a circle of rooms: 0 means that imports point one way."""
    arrows = set(room_imports(root))
    targets: dict[str, set[str]] = {}
    for room, target in arrows:
        targets.setdefault(room, set()).add(target)

    def reaches(start: str, goal: str) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            room = waiting.pop()
            if room == goal:
                return True
            new = targets.get(room, set()) - seen
            seen |= new
            waiting += new
        return False

    return sum(reaches(target, room) for room, target in arrows)


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    product, tests = python_files(root, *PRODUCT), python_files(root, "tests")
    once, total = helpers_called_once(product)
    skips = sum(len(re.findall(r"# fmt: (?:skip|off)", file.read_text())) for file in product + tests)
    rows = {
        "Python lines of the product": f"{n_lines(product):,}",
        "Python lines of tests": f"{n_lines(tests):,}",
        "files of the product": len(product),
        "files under 100 lines": sum(len(file.read_text().splitlines()) < 100 for file in product),
        "comments that switch the formatter off": skips,
        "lines with a comment": f"{comment_share(product):.1%}",
        "private functions named once": f"{once} of {total}",
        "arrows on a circle of rooms": arrows_in_circles(root),
        "assignments to `told`": sum(
            len(re.findall(r"\btold\b[^=\n]*=[^=]", file.read_text())) for file in product
        ),
    }
    for name, value in rows.items():
        print(f"{name:40} {value}")


if __name__ == "__main__":
    main()
