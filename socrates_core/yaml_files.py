"""YAML from any source, read safely: with limits on size, depth and what aliases expand to, and as records."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from socrates_core.errors import EDITED, UserError, clipped

MOST_CHARACTERS = 2_000_000
MOST_NODES = 200_000  # an alias counts as everything that it expands to
LONGEST_NUMBER = 300  # characters
Record = TypeVar("Record", bound=BaseModel)


def load_yaml(path: Path, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """The value in the YAML file at `path`. Raises UserError if it cannot be read."""
    try:
        with path.open(encoding="utf-8") as opened:
            text = opened.read(MOST_CHARACTERS + 1)
    except FileNotFoundError as error:
        raise UserError(f"There is no file {str(path)!r}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{str(path)!r} cannot be read as text ({clipped(str(error))}).") from error
    return parse_yaml(text, repr(str(path)), loader)


def parse_yaml(text: str, where: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """The value of a YAML text. Raises UserError if it cannot be read; `where` names the source in that sentence."""
    if len(text) > MOST_CHARACTERS:
        raise UserError(f"{where} is too large: at most {MOST_CHARACTERS:,} characters of YAML are read.")
    opened = None
    try:
        opened = loader(text)
        node = opened.get_single_node()
        if node is None:
            return None
        # PyYAML keeps an alias as one object: a bomb loads at once, and unfolds only where its value is used.
        _count(node, {}, where)
        return opened.construct_document(node)
    except RecursionError as error:
        raise UserError(f"{where} is not valid YAML: it is nested too deeply. Use fewer levels.") from error
    except (yaml.YAMLError, *EDITED) as error:  # PyYAML lets all of them out
        raise UserError(f"{where} is not valid YAML: {clipped(str(error), 300).rstrip('.')}.") from error
    finally:
        if opened is not None:
            opened.dispose()


def validated(kind: type[Record], stored: object, beginning: str) -> Record:
    """A stored value as a record of `kind`. Raises UserError: `beginning`, then up to five faults."""
    try:
        return kind.model_validate(stored)
    except ValidationError as error:
        faults = [
            f"{_place(fault['loc'])}{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()[:5]
        ]
        raise UserError(f"{beginning}: {clipped('; '.join(faults), 400).rstrip('.')}.") from error


def _place(steps: Sequence[int | str]) -> str:
    """Where a fault is, counted from one: "outcomes 4 scale: "."""
    names = [str(step + 1) if isinstance(step, int) else step for step in steps]
    return f"{' '.join(names)}: " if names else ""


def _count(node: yaml.Node, known: dict[int, int], where: str) -> int:
    """How many nodes `node` expands to. Raises UserError for more than MOST_NODES or a forbidden scalar."""
    if id(node) in known:
        if not known[id(node)]:
            raise UserError(
                f"{where} is not valid here: a part of it contains itself (an alias inside its own anchor)."
            )
        return known[id(node)]
    known[id(node)] = 0  # 0 while its parts are counted: a node that is met again meanwhile contains itself
    if isinstance(node, yaml.ScalarNode):
        _check_scalar(node, where)
        inside: list[yaml.Node] = []
    elif isinstance(node, yaml.MappingNode):
        inside = [part for pair in node.value for part in pair]
    else:
        inside = list(node.value)
    total = 1
    for part in inside:
        total += _count(part, known, where)
        if total > MOST_NODES:
            raise UserError(f"{where} is too large: its aliases expand to more than {MOST_NODES:,} values.")
    known[id(node)] = total
    return total


def _check_scalar(node: yaml.ScalarNode, where: str) -> None:
    if node.tag.endswith((":int", ":float")) and len(node.value) > LONGEST_NUMBER:
        raise UserError(
            f"{where} holds a number of {len(node.value):,} characters; at most {LONGEST_NUMBER} are allowed."
        )
    if any("\ud800" <= letter <= "\udfff" for letter in node.value):
        raise UserError(
            f"{where} holds half a character (a lone surrogate), which no file can keep. Remove it."
        )
