"""A run as rows for charts: predicted answers and effects, with people's answers if there are any."""

import pandas as pd

from pages.view.charts import answer_charts, frames
from pages.view.charts.dots import CALIBRATED, INNER
from pages.view.charts.figure_files import to_svg_png
from socrates_core.analysis.baselines import uniform
from socrates_core.projects.run_results import SimulationRun
from socrates_core.studies.answers import scale_range


def answers(run: SimulationRun, outcome: int, *, baselines: bool = False) -> pd.DataFrame:
    """One outcome's shares: a row a condition x who x value; empty before any answer.

    `baselines` adds the uniform guess and, where people answered, the condition-blind one.
    """
    scale = run.scales[outcome]
    parts = []
    for cell in run.cells:
        if cell.outcome == outcome and len(cell.values):
            predicted = {run.model: cell.predicted}
            if baselines:
                predicted["uniform"] = uniform(len(cell.values))
            if baselines and cell.condition_blind is not None:
                predicted["condition-blind"] = cell.condition_blind
            if cell.counts is not None:
                parts.append(
                    frames.share_rows(cell.condition_name, "people", scale, cell.counts, size=cell.size)
                )
            parts += [
                frames.predicted_rows(
                    cell.condition_name, who, scale, p, n=cell.n_simulated, n_profiles=cell.n
                )
                for who, p in predicted.items()
            ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def effects(run: SimulationRun) -> pd.DataFrame:
    """Differences against the reference: a row an outcome x condition x who.

    A calibrated effect, which only a verdict earns, has its 90% interval as low and high, and the ends of the inner
    ones in columns low_50, high_50, low_80 and high_80.
    """
    spans = {outcome.name: scale_range(outcome.scale.scale()) for outcome in run.spec.draft.outcomes}
    n_options = {outcome.name: len(outcome.scale.scale().values) for outcome in run.spec.draft.outcomes}
    rows = []
    for effect in run.effects:
        row = {
            "outcome": effect.outcome,
            "condition": effect.condition,
            "span": spans[effect.outcome],
            "n_options": n_options[effect.outcome],
        }
        if effect.people is not None:
            rows.append({**row, "who": "people", **vars(effect.people)})
        sizes = {"n": effect.n_simulated, "n_profiles": effect.predicted.n}
        rows.append({**row, "who": run.model, **vars(effect.predicted), **sizes})
        if effect.shown is not None:
            earned = effect.shown
            ends = {
                f"{end}_{name}": getattr(earned, end)[at]
                for at, name in enumerate(INNER)
                for end in ("low", "high")
            }
            widest = {"low": earned.low[-1], "high": earned.high[-1]}
            rows.append(
                {**row, "who": CALIBRATED, "difference": earned.difference, **widest, **ends, **sizes}
            )
    return pd.DataFrame(rows)


def figures(run: SimulationRun) -> dict[str, bytes]:
    """Every chart of the run as SVG and PNG, by file name. Raises UserError without Chrome or Chromium."""
    files: dict[str, bytes] = {}
    for number, outcome in enumerate(run.spec.draft.outcomes):
        frame = answers(run, number)
        if not frame.empty:
            figure = answer_charts.distribution(
                frame, scale=outcome.scale.scale(), title=outcome.name, theme="light"
            )
            files |= {f"outcome_{number + 1}.{kind}": drawn for kind, drawn in to_svg_png(figure).items()}
    if run.effects:
        title = f"How far does each condition move answers from “{run.effects[0].reference}”?"
        frame, unit = frames.in_one_unit(effects(run))
        figure = answer_charts.effects_forest(frame, title=title, unit=unit, theme="light")
        files |= {f"effects.{kind}": drawn for kind, drawn in to_svg_png(figure).items()}
    return files
