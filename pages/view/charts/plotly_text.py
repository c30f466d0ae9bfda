"""Study text made safe for chart labels, where plotly would read HTML, LaTeX, templates and entities."""

import textwrap
import unicodedata

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "%": "&#37;"})


def plain_text(text: object) -> str:
    """`text` as plotly shows it character by character: no tags, no LaTeX, no `%{...}`, no hidden marks.

    Control characters, zero-width characters and direction overrides leave; line breaks become spaces.
    """
    return readable(text).translate(_ENTITIES)


def readable(text: object) -> str:
    """`text` on one line without characters that cannot be seen, for places that take text as it is."""
    spaced = "".join(" " if char.isspace() else char for char in str(text))
    seen = (char for char in spaced if not unicodedata.category(char).startswith("C"))
    return " ".join("".join(seen).split())


def wrapped(text: object, width: int, *, most: int = 3) -> str:
    """`text` in at most `most` lines of `width` characters for a chart label; a cut ends in an ellipsis."""
    lines = textwrap.wrap(readable(text), width)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])[: width - 1].rstrip() + "…"]
    return "<br>".join(plain_text(line) for line in lines)
