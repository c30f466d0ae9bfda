"""A document as one page of HTML that loads nothing: its style, drawings and numbers are in it."""

import math
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from socrates_core.reporting.document import Document
from socrates_core.reporting.numbers import Key


def render_page(document: Document, digests: Mapping[str, str]) -> str:
    """The page of a document; `digests` are those of the other files of its folder, by name."""

    def number(style: str, quantity: str, *places: float | None) -> Markup:
        return render_number(Key.at(quantity, *places), document.numbers.get(quantity, *places), style)

    return _template(f"{document.kind}.html").render(
        document=document,
        digests=digests,
        number=number,
        number_label=number_label,
        **document.sections,
    )


def render_readme(document: Document) -> str:
    """The README.md of a document's folder."""
    return _template(f"{document.kind}.md").render(document=document) + "\n"


def _template(name: str) -> Template:
    """A template in which a missing name is an error and, in HTML, every text is escaped."""
    templates = Environment(
        loader=PackageLoader("socrates_core.reporting"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template(name)


def render_number(key: Key, number: float, style: str) -> Markup:
    """A number of the page under its key, or a dash if it is missing."""
    if math.isnan(number):
        return Markup("–")
    # `!r` keeps all digits of the number, which its label rounds.
    data = Markup('<data data-key="{}" value="{!r}">{}</data>')
    return data.format(str(key), float(number), number_label(number, style))


def number_label(number: float, style: str) -> str:
    """A number as the page shows it: a "count", a "percent", "signed", a "w" of three digits, or "plain"."""
    if style == "count" or (style == "plain" and abs(number) >= 1000):
        text = f"{number:,.0f}"
    elif style == "percent":
        text = f"{100 * number:.0f}%" if number == 0 or abs(number) >= 0.01 else f"{100 * number:.1f}%"
    else:
        digits = 3 if style == "w" or 0 < abs(number) < 0.1 else 2
        text = f"{number:{'+' if style == 'signed' else ''},.{digits}f}"
    return text.replace("-", "−")
