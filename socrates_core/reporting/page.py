"""The report as one page of HTML that loads nothing: its style, figures and numbers are in it."""

import base64
import math
import shlex
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from socrates_core.populations.panel import profiles_sentence
from socrates_core.projects.run_results import Run
from socrates_core.projects.run_spec import asked_cells
from socrates_core.records import LOW_MASS
from socrates_core.reporting.drawings import draw_effect, draw_shares, reach_of, top_share
from socrates_core.reporting.numbers import Key, Numbers, SeenInTraining
from socrates_core.reporting.sources import citations, study_sources
from socrates_core.scales import render_instruction
from socrates_core.scales.rendering import number_text

MOST_COLUMNS = 11


def render_page(
    run: Run,
    numbers: Numbers,
    *,
    figures: Mapping[str, bytes],
    seen: SeenInTraining,
    digests: Mapping[str, str],
) -> str:
    """The report of a run.

    `figures` are SVG files by name, drawn where a browser was there; where one is missing the page draws its own.
    `seen` says whether the model was trained on these studies.
    """

    def number(style: str, quantity: str, *places: float | None) -> Markup:
        return render_number(Key(quantity, *places), numbers.get(quantity, *places), style)  # type: ignore[arg-type]

    return page_template("report.html").render(
        run=run,
        draft=run.spec.draft,
        manifest=run.manifest,
        card=run.manifest["card"],
        number=number,
        outcomes=[_outcome(run, o, figures) for o in range(len(run.spec.draft.outcomes))],
        effects_figure=_inline(figures.get("effects.svg")),
        drawn_by_browser=bool(figures),
        low_mass=numbers.get("valid_mass") < LOW_MASS,
        example=next(asked_cells(run.spec)).question.prompt,
        people_beside=any(cell.counts is not None for cell in run.cells),
        people_from=run.people_sentence,
        profiles=profiles_sentence(run.spec.people),
        seen=seen,
        digests=digests,
        sources=study_sources(run),
        citations=citations(run.manifest["card"]),
        command=shlex.join(run.command),
        calibration=run.calibration,
        most_columns=MOST_COLUMNS,
        number_text=number_text,
    )


def page_template(name: str) -> Template:
    """A template of a page, in which every text is escaped and a missing name is an error."""
    pages = Environment(
        loader=PackageLoader("socrates_core.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template(name)


def render_number(key: object, number: float, style: str) -> Markup:
    """A number of the page under its key, a dash where there is none."""
    if math.isnan(number):
        return Markup("–")
    told = Markup('<data data-key="{}" value="{!r}">{}</data>')
    return told.format(str(key), float(number), number_label(number, style))


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


def _outcome(run: Run, o: int, figures: Mapping[str, bytes]) -> dict[str, Any]:
    """An outcome with its cells, effects and drawings."""
    outcome, cells = run.spec.draft.outcomes[o], [cell for cell in run.cells if cell.outcome == o]
    conditions = [condition.name for condition in run.spec.draft.conditions]
    effects = [effect for effect in run.effects if effect.outcome == outcome.name]
    scale, values, top, reach = (
        outcome.scale.scale(),
        run.scales[o].values,
        top_share(cells),
        reach_of(effects),
    )
    return {
        "index": o,
        "name": outcome.name,
        "question": outcome.question.strip(),
        "instruction": render_instruction(scale),
        "values": values,
        "ends": [f"{number_text(v)} {scale.label(v)}".strip() for v in (*values[:1], *values[-1:])],
        "cells": cells,
        "top": f"{top:.0%}",
        "panels": [draw_shares(cell, top) for cell in cells],
        "is_open": scale.is_open,
        "figure": _inline(figures.get(f"outcome_{o + 1}.svg")),
        "effects": [(conditions.index(each.condition), each, draw_effect(each, reach)) for each in effects],
        "reach": f"{reach:g}",
    }


def _inline(svg: bytes | None) -> str:
    """An SVG file as the address of an image that is inside the page, where none of it can run; empty without one."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" if svg else ""
